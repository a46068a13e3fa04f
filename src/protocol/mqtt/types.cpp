#include "protocol/mqtt/types.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace tocsin::mqtt {
namespace {

// Codes below 0x80 and above it that each packet may carry: sections 3.2.2.2, 3.4.2.1, 3.5.2.1,
// 3.6.2.1, 3.9.3, 3.11.3, 3.14.2.1 and 3.15.2.1.
constexpr std::array<std::uint8_t, 22> connack_codes{0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
                                                     0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
                                                     0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F};
constexpr std::array<std::uint8_t, 9> puback_codes{0x00, 0x10, 0x80, 0x83, 0x87,
                                                   0x90, 0x91, 0x97, 0x99};
constexpr std::array<std::uint8_t, 2> pubrel_codes{0x00, 0x92};
constexpr std::array<std::uint8_t, 12> suback_codes{0x00, 0x01, 0x02, 0x80, 0x83, 0x87,
                                                    0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2};
constexpr std::array<std::uint8_t, 7> unsuback_codes{0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91};
constexpr std::array<std::uint8_t, 29> disconnect_codes{
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
    0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2};
constexpr std::array<std::uint8_t, 3> auth_codes{0x00, 0x18, 0x19};
// What of DISCONNECT's codes says something about a server.
constexpr std::array<std::uint8_t, 15> server_disconnect_codes{
    0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2};

std::span<const std::uint8_t> codes_of(PacketType type) noexcept {
  switch (type) {
    case PacketType::connack:
      return connack_codes;
    case PacketType::puback:
    case PacketType::pubrec:
      return puback_codes;
    case PacketType::pubrel:
    case PacketType::pubcomp:
      return pubrel_codes;
    case PacketType::suback:
      return suback_codes;
    case PacketType::unsuback:
      return unsuback_codes;
    case PacketType::disconnect:
      return disconnect_codes;
    case PacketType::auth:
      return auth_codes;
    default:
      return {};
  }
}

}  // namespace

std::string_view to_string(PacketType type) noexcept {
  constexpr std::array<std::string_view, 16> names{
      "reserved", "connect",  "connack",    "publish", "puback",      "pubrec",
      "pubrel",   "pubcomp",  "subscribe",  "suback",  "unsubscribe", "unsuback",
      "pingreq",  "pingresp", "disconnect", "auth"};
  return names[static_cast<std::size_t>(type) & 15U];
}

bool reason_allowed_from(Role sender, PacketType type, ReasonCode code) noexcept {
  if (!reason_allowed(type, code)) return false;
  const auto value = static_cast<std::uint8_t>(code);
  if (type == PacketType::disconnect) {
    if (code == ReasonCode::disconnect_with_will) return sender == Role::client;
    const auto& of_server = server_disconnect_codes;
    return sender == Role::server ||
           std::find(of_server.begin(), of_server.end(), value) == of_server.end();
  }
  if (type == PacketType::auth) {
    if (code == ReasonCode::success) return sender == Role::server;
    if (code == ReasonCode::re_authenticate) return sender == Role::client;
  }
  return true;
}

bool reason_allowed(PacketType type, ReasonCode code) noexcept {
  const auto codes = codes_of(type);
  return std::find(codes.begin(), codes.end(), static_cast<std::uint8_t>(code)) != codes.end();
}

}  // namespace tocsin::mqtt
