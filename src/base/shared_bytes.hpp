#pragma once
// Memory that several threads charge to one bound.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tocsin {

/// Any thread, but for set_max(). ByteBudget is its like for one thread.
class SharedBytes {
 public:
  explicit SharedBytes(std::size_t max = SIZE_MAX) noexcept : max_(max) {}

  /// False, with nothing charged, above the bound.
  [[nodiscard]] bool charge(std::size_t size) noexcept {
    if (used_.fetch_add(size, std::memory_order_relaxed) + size <= max_) return true;
    refund(size);
    return false;
  }
  void refund(std::size_t size) noexcept { used_.fetch_sub(size, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t max() const noexcept { return max_; }
  /// Before other threads use it.
  void set_max(std::size_t max) noexcept { max_ = max; }

 private:
  std::size_t max_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace tocsin
