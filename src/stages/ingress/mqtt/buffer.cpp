#include "stages/ingress/mqtt/buffer.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <tocsin/limits.hpp>

namespace tocsin::ingress {
namespace {
constexpr std::size_t capacity_min = 256;
// An emptied buffer up to this size is kept for the next use.
constexpr std::size_t kept_capacity_max = 2048;
}  // namespace

bool MqttBuffer::grow(std::size_t wanted) noexcept {
  const std::size_t capacity = std::max({capacity_min, wanted, capacity_ * 2});
  const std::size_t charge = capacity + json_padding;
  if (!budget_->take(charge)) return false;
  std::unique_ptr<char[]> bytes(new (std::nothrow) char[charge]());
  if (!bytes) {
    budget_->give(charge);
    return false;
  }
  if (!empty()) std::memcpy(bytes.get(), bytes_.get() + begin_, size());
  if (capacity_ > 0) budget_->give(capacity_ + json_padding);
  bytes_ = std::move(bytes);
  end_ = size();
  begin_ = 0;
  capacity_ = capacity;
  return true;
}

std::span<char> MqttBuffer::tail(std::size_t wanted) noexcept {
  assert(wanted > 0);
  if (end_ + wanted > capacity_) {
    if (begin_ > 0 && size() + wanted <= capacity_) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, size());
      end_ = size();
      begin_ = 0;
    } else if (!grow(size() + wanted)) {
      return {};
    }
  }
  return {bytes_.get() + end_, wanted};
}

bool MqttBuffer::append(std::string_view added) noexcept {
  if (added.empty()) return true;
  const std::span<char> room = tail(added.size());
  if (room.empty()) return false;
  std::memcpy(room.data(), added.data(), added.size());
  commit(added.size());
  return true;
}

void MqttBuffer::consume(std::size_t n) noexcept {
  assert(n <= size());
  begin_ += n;
  if (begin_ != end_) return;
  begin_ = 0;
  end_ = 0;
  if (capacity_ > kept_capacity_max) release();
}

void MqttBuffer::release() noexcept {
  if (capacity_ > 0) budget_->give(capacity_ + json_padding);
  bytes_.reset();
  capacity_ = 0;
  begin_ = 0;
  end_ = 0;
}

void MqttBuffer::swap(MqttBuffer& other) noexcept {
  assert(budget_ == other.budget_);
  std::swap(bytes_, other.bytes_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
}

}  // namespace tocsin::ingress
