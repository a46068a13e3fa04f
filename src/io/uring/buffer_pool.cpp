#include "io/uring/buffer_pool.hpp"

#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cassert>
#include <cerrno>

#include <fmt/format.h>

#include "base/errno_text.hpp"

namespace tocsin::io::uring {
namespace {

constexpr std::uint32_t count_max = 32768;

std::size_t round_up(std::size_t size, std::size_t unit) noexcept {
  return (size + unit - 1) / unit * unit;
}

}  // namespace

Result<std::unique_ptr<BufferPool>, std::string> BufferPool::make(std::uint32_t count,
                                                                  std::uint32_t size) {
  if (!std::has_single_bit(count) || count > count_max || size == 0) {
    return Unexpected{
        fmt::format("{} receive buffers of {} bytes: the count must be a power of two "
                    "up to {}",
                    count, size, count_max)};
  }
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t ring_size = round_up(count * sizeof(io_uring_buf), page);
  const std::size_t map_size =
      round_up(ring_size + (std::size_t{count} + 1) * size + padding_size, page);
  void* const map =
      ::mmap(nullptr, map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) {
    return Unexpected{fmt::format("{} bytes of receive buffers: {}", map_size, errno_text(errno))};
  }
  return std::unique_ptr<BufferPool>{
      new BufferPool(static_cast<std::byte*>(map), map_size, ring_size, count, size)};
}

BufferPool::BufferPool(std::byte* map, std::size_t map_size, std::size_t ring_size,
                       std::uint32_t count, std::uint32_t size) noexcept
    : map_(map),
      map_size_(map_size),
      buffers_(map + ring_size),
      count_(count),
      size_(size),
      ring_(reinterpret_cast<io_uring_buf_ring*>(map)) {}

BufferPool::~BufferPool() { ::munmap(map_, map_size_); }

int BufferPool::attach(io_uring& ring) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(ring_);
  registration.ring_entries = count_;
  registration.bgid = group;
  const int error = -io_uring_register_buf_ring(&ring, &registration, 0);
  if (error != 0) return error;
  io_uring_buf_ring_init(ring_);
  for (std::uint32_t i = 0; i < count_; ++i) {
    add(static_cast<std::uint16_t>(i), static_cast<int>(i));
  }
  io_uring_buf_ring_advance(ring_, static_cast<int>(count_));
  return 0;
}

std::span<const std::byte> BufferPool::view(std::uint16_t buffer, std::size_t length) const {
  assert(buffer < count_ && length <= size_);
  return {buffers_ + std::size_t{buffer} * size_, length};
}

std::span<std::byte> BufferPool::spare() noexcept {
  return {buffers_ + std::size_t{count_} * size_, size_};
}

void BufferPool::recycle(std::uint16_t buffer) noexcept {
  add(buffer, 0);
  io_uring_buf_ring_advance(ring_, 1);
}

void BufferPool::add(std::uint16_t buffer, int position) noexcept {
  assert(buffer < count_);
  io_uring_buf_ring_add(ring_, buffers_ + std::size_t{buffer} * size_, size_, buffer,
                        static_cast<int>(count_ - 1), position);
}

}  // namespace tocsin::io::uring
