#pragma once
// Framing: finds the next control packet in a run of bytes (section 2.1).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/mqtt/types.hpp"

namespace tocsin::mqtt {

/// One whole control packet. Views into the bytes given to next_packet().
struct Frame {
  PacketType type{};
  std::uint8_t flags = 0;      ///< Low four bits of the first byte.
  bool length_minimal = true;  ///< Remaining Length used as few bytes as possible (5.0 demands it).
  std::size_t size = 0;        ///< Whole packet, fixed header included.
  std::string_view body;       ///< Everything behind the fixed header.
};

struct NextPacket {
  enum class Status : std::uint8_t { need_more, packet, error };
  Status status = Status::need_more;
  Frame frame{};             ///< When `packet`.
  Error error{};             ///< When `error`: the stream cannot be followed any further.
  std::size_t size_min = 2;  ///< When `need_more`: bytes that the packet has at least, known ones
                             ///< included; exact once the Remaining Length is complete.
};

/// Looks at the packet that begins at bytes[0]. Reads only what is there; the fixed header is
/// judged as soon as it is complete, so that a packet above `size_max` bytes, or one whose type or
/// flags are reserved, is refused before its body arrives.
[[nodiscard]] NextPacket next_packet(std::span<const std::byte> bytes,
                                     std::size_t size_max) noexcept;

}  // namespace tocsin::mqtt
