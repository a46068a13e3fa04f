#pragma once
// Byte buffers whose memory is charged to a shared budget, so that many slow peers together cannot
// take more than the budget says.

#include <cstddef>
#include <memory>
#include <string_view>

namespace tocsin::http {

/// Bytes that the buffers of one thread may hold together. Outlives its buffers.
class ByteBudget {
 public:
  explicit ByteBudget(std::size_t max) noexcept : max_(max) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  [[nodiscard]] bool charge(std::size_t size) noexcept {
    if (size > max_ - used_) return false;
    used_ += size;
    return true;
  }
  void refund(std::size_t size) noexcept;
  [[nodiscard]] std::size_t used() const noexcept { return used_; }
  [[nodiscard]] std::size_t max() const noexcept { return max_; }

 private:
  std::size_t max_;
  std::size_t used_ = 0;
};

/// A growing buffer that keeps its memory when cleared. At least json_padding readable bytes follow
/// its content, so that a body in it can be parsed in place. Views die with the next append.
class GrowBuffer {
 public:
  explicit GrowBuffer(ByteBudget* budget = nullptr) noexcept : budget_(budget) {}
  GrowBuffer(const GrowBuffer&) = delete;
  GrowBuffer& operator=(const GrowBuffer&) = delete;
  ~GrowBuffer() { release(); }

  /// False (and nothing changed) when the budget or the machine has no more memory.
  [[nodiscard]] bool append(std::string_view bytes) noexcept;
  [[nodiscard]] bool reserve(std::size_t size) noexcept;
  void truncate(std::size_t size) noexcept;
  void erase_front(std::size_t size) noexcept;
  void clear() noexcept { size_ = 0; }
  /// Gives the memory back. Content is lost.
  void release() noexcept;
  void swap(GrowBuffer& other) noexcept;

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  ByteBudget* budget_;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace tocsin::http
