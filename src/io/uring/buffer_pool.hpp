#pragma once
// Receive buffers that the kernel picks from when data arrives, so that an idle connection holds no
// memory (IORING_REGISTER_PBUF_RING, Linux 5.19).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <tocsin/result.hpp>

struct io_uring;
struct io_uring_buf_ring;

namespace tocsin::io::uring {

/// Must be destroyed after the ring that it was registered with.
class BufferPool {
 public:
  static constexpr std::uint16_t group = 0;  ///< The buffer group's number in the ring.
  /// Readable bytes after every buffer, also after the last: parsers may load whole vectors.
  static constexpr std::size_t padding_size = 64;

  /// Maps the memory. `count` is a power of two, at most 32768.
  [[nodiscard]] static Result<std::unique_ptr<BufferPool>, std::string> make(std::uint32_t count,
                                                                             std::uint32_t size);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  /// Registers with the ring and hands all buffers to the kernel. 0 or an errno.
  [[nodiscard]] int attach(io_uring& ring);
  [[nodiscard]] std::size_t buffer_size() const noexcept { return size_; }
  [[nodiscard]] std::span<const std::byte> view(std::uint16_t buffer, std::size_t length) const;
  /// One more buffer, which the kernel is never given.
  [[nodiscard]] std::span<std::byte> spare() noexcept;
  /// Gives a buffer back to the kernel.
  void recycle(std::uint16_t buffer) noexcept;

 private:
  BufferPool(std::byte* map, std::size_t map_size, std::size_t ring_size, std::uint32_t count,
             std::uint32_t size) noexcept;
  void add(std::uint16_t buffer, int position) noexcept;

  std::byte* map_;
  std::size_t map_size_;
  std::byte* buffers_;
  std::uint32_t count_;
  std::uint32_t size_;
  io_uring_buf_ring* ring_;
};

}  // namespace tocsin::io::uring
