#include "base/byte_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <tocsin/limits.hpp>

namespace tocsin {
namespace {
constexpr std::size_t capacity_min = 256;
}

std::size_t ByteBuffer::charged() const noexcept {
  return capacity_ == 0 ? 0 : capacity_ + json_padding;
}

bool ByteBuffer::append(std::string_view added) noexcept {
  if (added.empty()) return true;
  const std::span<char> room = tail(added.size());
  if (room.empty()) return false;
  std::memcpy(room.data(), added.data(), added.size());
  commit(added.size());
  return true;
}

std::span<char> ByteBuffer::tail(std::size_t size) noexcept {
  assert(size > 0);
  if (size > capacity_ - end_ && !make_room(size)) return {};
  return {bytes_.get() + end_, size};
}

bool ByteBuffer::make_room(std::size_t added) noexcept {
  const std::size_t needed = size() + added;
  if (needed <= capacity_) {
    std::memmove(bytes_.get(), bytes_.get() + begin_, size());
    end_ = size();
    begin_ = 0;
    return true;
  }
  // Doubling keeps the cost per byte constant; when the budget is short, exactly enough will do.
  return grow(std::max({needed, 2 * capacity_, capacity_min})) || grow(needed);
}

bool ByteBuffer::grow(std::size_t capacity) noexcept {
  const std::size_t memory = capacity + json_padding;
  const std::size_t growth = memory - charged();
  if (budget_ != nullptr && !budget_->charge(growth)) return false;
  std::unique_ptr<char[]> grown(new (std::nothrow) char[memory]);
  if (grown == nullptr) {
    if (budget_ != nullptr) budget_->refund(growth);
    return false;
  }
  if (!empty()) std::memcpy(grown.get(), bytes_.get() + begin_, size());
  std::memset(grown.get() + capacity, 0, json_padding);
  bytes_ = std::move(grown);
  capacity_ = capacity;
  end_ = size();
  begin_ = 0;
  return true;
}

void ByteBuffer::consume(std::size_t size) noexcept {
  assert(size <= this->size());
  begin_ += size;
  if (!empty()) return;
  begin_ = 0;
  end_ = 0;
  if (capacity_ > kept_max_) release();
}

void ByteBuffer::shrink() noexcept {
  if (capacity_ <= kept_max_ || empty() || 2 * size() >= capacity_) return;
  const std::size_t memory = size() + json_padding;
  std::unique_ptr<char[]> shrunk(new (std::nothrow) char[memory]);
  if (shrunk == nullptr) return;
  std::memcpy(shrunk.get(), bytes_.get() + begin_, size());
  std::memset(shrunk.get() + size(), 0, json_padding);
  if (budget_ != nullptr) budget_->refund(charged() - memory);
  bytes_ = std::move(shrunk);
  end_ = capacity_ = size();
  begin_ = 0;
}

void ByteBuffer::truncate(std::size_t size) noexcept {
  assert(size <= this->size());
  end_ = begin_ + size;
}

void ByteBuffer::release() noexcept {
  bytes_.reset();
  if (budget_ != nullptr) budget_->refund(charged());
  capacity_ = 0;
  begin_ = 0;
  end_ = 0;
}

void ByteBuffer::swap(ByteBuffer& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(kept_max_, other.kept_max_);
  std::swap(bytes_, other.bytes_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
}

}  // namespace tocsin
