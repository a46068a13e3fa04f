#pragma once
// Bytes of one connection that outlive a callback, charged to the budget of its reactor.

#include <atomic>
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace tocsin::ingress {

/// What the buffers of one reactor may take together. Its thread changes it; any thread may read.
class MqttBudget {
 public:
  explicit MqttBudget(std::size_t limit) noexcept : limit_(limit) {}
  [[nodiscard]] bool take(std::size_t bytes) noexcept {
    if (used() + bytes > limit_) return false;
    used_.store(used() + bytes, std::memory_order_relaxed);
    return true;
  }
  void give(std::size_t bytes) noexcept {
    assert(bytes <= used());
    used_.store(used() - bytes, std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

/// A byte queue: appended at its end, consumed from its front. It holds no memory until it is used,
/// grows with what really arrived (never with what a length field promises), and json_padding
/// readable bytes always follow its contents.
class MqttBuffer {
 public:
  explicit MqttBuffer(MqttBudget& budget) noexcept : budget_(&budget) {}
  MqttBuffer(const MqttBuffer&) = delete;
  MqttBuffer& operator=(const MqttBuffer&) = delete;
  ~MqttBuffer() { release(); }

  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get() + begin_, size()}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {reinterpret_cast<const std::byte*>(bytes_.get()) + begin_, size()};
  }
  [[nodiscard]] std::span<char> mutable_view() noexcept { return {bytes_.get() + begin_, size()}; }

  /// Room for `size` bytes at the end, or an empty span when the budget is exhausted. Invalidates
  /// views. They become contents through commit().
  [[nodiscard]] std::span<char> tail(std::size_t size) noexcept;
  void commit(std::size_t size) noexcept {
    assert(end_ + size <= capacity_);
    end_ += size;
  }
  /// False, and nothing changed, when the budget is exhausted.
  [[nodiscard]] bool append(std::string_view bytes) noexcept;
  /// Drops bytes from the front; emptied, it gives a large buffer back.
  void consume(std::size_t size) noexcept;
  void clear() noexcept { consume(size()); }
  void release() noexcept;
  void swap(MqttBuffer& other) noexcept;

 private:
  bool grow(std::size_t size) noexcept;

  MqttBudget* budget_;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace tocsin::ingress
