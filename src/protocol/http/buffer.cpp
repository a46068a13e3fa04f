#include "protocol/http/buffer.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <utility>

#include <tocsin/limits.hpp>

namespace tocsin::http {
namespace {
constexpr std::size_t capacity_min = 512;
}

void ByteBudget::refund(std::size_t size) noexcept {
  assert(size <= used_);
  used_ -= size;
}

bool GrowBuffer::append(std::string_view bytes) noexcept {
  if (bytes.empty()) return true;
  if (bytes.size() > capacity_ - size_) {
    // Doubling keeps the cost per byte constant; when the budget is short, exactly enough will do.
    const std::size_t needed = size_ + bytes.size();
    const std::size_t doubled = std::max({needed, 2 * capacity_, capacity_min});
    if (!reserve(doubled) && !reserve(needed)) return false;
  }
  std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

bool GrowBuffer::reserve(std::size_t size) noexcept {
  if (size <= capacity_) return true;
  const std::size_t growth = size - capacity_;
  if (budget_ != nullptr && !budget_->charge(growth)) return false;
  std::unique_ptr<char[]> grown(new (std::nothrow) char[size + json_padding]);
  if (grown == nullptr) {
    if (budget_ != nullptr) budget_->refund(growth);
    return false;
  }
  if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
  std::memset(grown.get() + size, 0, json_padding);
  bytes_ = std::move(grown);
  capacity_ = size;
  return true;
}

void GrowBuffer::truncate(std::size_t size) noexcept {
  assert(size <= size_);
  size_ = size;
}

void GrowBuffer::erase_front(std::size_t size) noexcept {
  assert(size <= size_);
  if (size == 0) return;
  std::memmove(bytes_.get(), bytes_.get() + size, size_ - size);
  size_ -= size;
}

void GrowBuffer::release() noexcept {
  bytes_.reset();
  if (budget_ != nullptr) budget_->refund(capacity_);
  size_ = 0;
  capacity_ = 0;
}

void GrowBuffer::swap(GrowBuffer& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(bytes_, other.bytes_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
}

}  // namespace tocsin::http
