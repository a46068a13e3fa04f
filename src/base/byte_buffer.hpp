#pragma once
// Byte buffers whose memory is charged to a shared budget, so that many slow peers together cannot
// take more than the budget says.

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace tocsin {

/// Bytes that the buffers of one thread may hold together. Outlives its buffers. Its thread changes
/// it; any thread may read.
class ByteBudget {
 public:
  explicit ByteBudget(std::size_t max) noexcept : max_(max) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  [[nodiscard]] bool charge(std::size_t size) noexcept {
    if (size > max_ - used()) return false;
    used_.store(used() + size, std::memory_order_relaxed);
    return true;
  }
  void refund(std::size_t size) noexcept {
    assert(size <= used());
    used_.store(used() - size, std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t max() const noexcept { return max_; }

 private:
  std::size_t max_;
  std::atomic<std::size_t> used_{0};
};

/// Bytes appended at the end and consumed from the front. It holds no memory until it is used and
/// grows with what really arrived, never with what a length field promises. json_padding readable
/// bytes follow its content, so that a body in it can be parsed in place. Views die with whatever
/// adds content.
class ByteBuffer {
 public:
  /// Emptied by consume() or clear(), it keeps its memory for the next use, but no more than
  /// `kept_max`.
  explicit ByteBuffer(ByteBudget* budget = nullptr, std::size_t kept_max = SIZE_MAX) noexcept
      : budget_(budget), kept_max_(kept_max) {}
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer() { release(); }

  /// False (and nothing changed) when the budget or the machine has no more memory.
  [[nodiscard]] bool append(std::string_view added) noexcept;
  /// Room for `size` bytes, at least one, at the end, or an empty span as append() is false. They
  /// become content through commit().
  [[nodiscard]] std::span<char> tail(std::size_t size) noexcept;
  void commit(std::size_t size) noexcept {
    assert(size <= capacity_ - end_);
    end_ += size;
  }
  /// Drops bytes from the front.
  void consume(std::size_t size) noexcept;
  /// Gives back memory when less than half of it is in use: for content that has to wait, of which
  /// a part was consumed. Views die.
  void shrink() noexcept;
  /// Drops bytes from the end until `size` are left.
  void truncate(std::size_t size) noexcept;
  void clear() noexcept { consume(size()); }
  /// Gives the memory back. Content is lost.
  void release() noexcept;
  void swap(ByteBuffer& other) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  /// What fits into its memory. Charged is this and json_padding, or nothing when it is 0.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get() + begin_, size()}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return std::as_bytes(std::span{view()});
  }
  [[nodiscard]] std::span<char> mutable_view() noexcept { return {bytes_.get() + begin_, size()}; }

 private:
  [[nodiscard]] bool make_room(std::size_t added) noexcept;
  [[nodiscard]] bool grow(std::size_t capacity) noexcept;
  [[nodiscard]] std::size_t charged() const noexcept;

  ByteBudget* budget_;
  std::size_t kept_max_;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace tocsin
