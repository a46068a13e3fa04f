#pragma once
// One epoll instance, and what its events belong to.

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>

#include <tocsin/time.hpp>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

namespace tocsin::io::epoll {

enum class SourceKind : std::uint8_t { wake, listener, stream };

/// Slot and generation name the owner; an event whose generation is over is ignored.
struct Source {
  SourceKind kind = SourceKind::wake;
  std::uint32_t generation = 0;  ///< 24 bits wide.
  std::uint32_t slot = 0;

  [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
    return (std::uint64_t{static_cast<std::uint8_t>(kind)} << 56U) |
           (std::uint64_t{generation & 0xFF'FFFFU} << 32U) | slot;
  }
  [[nodiscard]] static constexpr Source unpack(std::uint64_t bits) noexcept {
    return {static_cast<SourceKind>(bits >> 56U),
            static_cast<std::uint32_t>(bits >> 32U) & 0xFF'FFFFU, static_cast<std::uint32_t>(bits)};
  }
};

class Poller {
 public:
  [[nodiscard]] static Result<Poller, Errno> make();

  /// Watches a descriptor until it is closed. 0 or an errno.
  [[nodiscard]] Errno add(int fd, std::uint32_t events, Source source) noexcept;
  [[nodiscard]] Errno change(int fd, std::uint32_t events, Source source) noexcept;

  /// Waits at most `timeout` (zero: not at all). A signal ends the wait without events. The events
  /// live until the next call.
  [[nodiscard]] std::span<const epoll_event> wait(Duration timeout) noexcept;

 private:
  explicit Poller(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  [[nodiscard]] int wait_precisely(Duration timeout) noexcept;
  [[nodiscard]] int take_ready(int timeout_ms) noexcept;

  UniqueFd fd_;
  bool nanoseconds_ = true;  // Until the kernel says that it has no epoll_pwait2 (5.11).
  std::array<epoll_event, 256> events_{};
};

}  // namespace tocsin::io::epoll
