#include "protocol/mqtt/frame.hpp"

namespace tocsin::mqtt {
namespace {

NextPacket refuse(ReasonCode code, std::string_view detail) noexcept {
  NextPacket next;
  next.status = NextPacket::Status::error;
  next.error = {code, detail};
  return next;
}

// Section 2.1.3: only PUBLISH has free flags, and not all combinations (section 3.3.1).
const char* flags_problem(PacketType type, std::uint8_t flags) noexcept {
  switch (type) {
    case PacketType::publish:
      if ((flags & 0x6U) == 0x6U) return "QoS 3";
      // DUP on QoS 0 [MQTT-3.3.1-2].
      return (flags & 0xEU) == 0x8U ? "DUP set on QoS 0" : nullptr;
    case PacketType::pubrel:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
      return flags == 0x2U ? nullptr : "reserved flags";
    default:
      return flags == 0 ? nullptr : "reserved flags";
  }
}

}  // namespace

NextPacket next_packet(std::span<const std::byte> bytes, std::size_t size_max) noexcept {
  if (bytes.empty()) return {};
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  if (first < 0x10) return refuse(ReasonCode::malformed_packet, "packet type 0");
  const auto type = static_cast<PacketType>(first >> 4U);
  const auto flags = static_cast<std::uint8_t>(first & 0xFU);
  if (const char* problem = flags_problem(type, flags)) {
    return refuse(ReasonCode::malformed_packet, problem);
  }
  std::uint32_t remaining = 0;
  std::size_t length_size = 0;
  for (;;) {
    if (length_size == 4) return refuse(ReasonCode::malformed_packet, "remaining length");
    if (1 + length_size == bytes.size()) {
      NextPacket next;
      next.size_min = bytes.size() + 1;
      return next;
    }
    const auto byte = static_cast<std::uint8_t>(bytes[1 + length_size]);
    remaining |= (byte & 0x7FU) << (7U * length_size);
    ++length_size;
    if (byte < 0x80) break;
  }
  const std::size_t size = 1 + length_size + remaining;
  if (size > size_max) return refuse(ReasonCode::packet_too_large, "packet too large");
  const bool ping = type == PacketType::pingreq || type == PacketType::pingresp;
  if (ping && remaining != 0) return refuse(ReasonCode::malformed_packet, "ping with a body");
  NextPacket next;
  next.size_min = size;
  if (bytes.size() < size) return next;
  next.status = NextPacket::Status::packet;
  const char* const body = reinterpret_cast<const char*>(bytes.data()) + 1 + length_size;
  const bool minimal = length_size == 1 || static_cast<std::uint8_t>(bytes[length_size]) != 0;
  next.frame = {type, flags, minimal, size, {body, remaining}};
  return next;
}

}  // namespace tocsin::mqtt
