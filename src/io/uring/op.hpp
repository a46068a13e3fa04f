#pragma once
// What a completion belongs to, packed into the 64 bits that io_uring carries for us.

#include <cstdint>

namespace tocsin::io::uring {

enum class OpKind : std::uint8_t {
  wake,
  accept,
  accept_pause,
  accept_cancel,
  connect,
  receive,
  send,
  stream_cancel,
  file_write,
  file_sync,
  teardown,
};

/// Slot and generation name the owner; a completion whose generation is over is ignored.
struct OpTag {
  OpKind kind = OpKind::teardown;
  std::uint32_t generation = 0;  ///< generation_bits wide.
  std::uint32_t slot = 0;

  static constexpr unsigned generation_bits = 24;
  static constexpr std::uint32_t generation_mask = (1U << generation_bits) - 1;

  [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
    return (std::uint64_t{static_cast<std::uint8_t>(kind)} << 56U) |
           (std::uint64_t{generation & generation_mask} << 32U) | slot;
  }
  [[nodiscard]] static constexpr OpTag unpack(std::uint64_t bits) noexcept {
    return {static_cast<OpKind>(bits >> 56U),
            static_cast<std::uint32_t>(bits >> 32U) & generation_mask,
            static_cast<std::uint32_t>(bits)};
  }
};
static_assert(OpTag::unpack(OpTag{OpKind::send, 0xABCDEF, 0x12345678}.pack()).slot == 0x12345678);
static_assert(OpTag::unpack(OpTag{OpKind::send, 0xABCDEF, 1}.pack()).generation == 0xABCDEF);

/// One completion, copied out of the ring.
struct Completion {
  OpTag tag;
  std::int32_t result = 0;  ///< As a system call's: negative errno on failure.
  std::uint32_t flags = 0;

  /// A multishot operation stays armed.
  [[nodiscard]] bool more() const noexcept { return (flags & 2U) != 0; }
  [[nodiscard]] bool has_buffer() const noexcept { return (flags & 1U) != 0; }
  [[nodiscard]] std::uint16_t buffer() const noexcept {
    return static_cast<std::uint16_t>(flags >> 16U);
  }
  [[nodiscard]] int error() const noexcept { return result < 0 ? -result : 0; }
};

}  // namespace tocsin::io::uring
