// CONNECT (section 3.1): the one packet whose version is not known before it is read.

#include <cassert>

#include "protocol/mqtt/packets.hpp"
#include "protocol/mqtt/utf8.hpp"

namespace tocsin::mqtt {
namespace {

// Bits of the connect flags (section 3.1.2.3).
constexpr std::uint8_t flag_reserved = 0x01;
constexpr std::uint8_t flag_clean_start = 0x02;
constexpr std::uint8_t flag_will = 0x04;
constexpr std::uint8_t flag_will_retain = 0x20;
constexpr std::uint8_t flag_password = 0x40;
constexpr std::uint8_t flag_user_name = 0x80;

Unexpected<Error> malformed(std::string_view detail) noexcept {
  return Unexpected{Error{ReasonCode::malformed_packet, detail}};
}

const char* flags_problem(std::uint8_t flags, Version version) noexcept {
  if ((flags & flag_reserved) != 0) return "CONNECT reserved flag";
  const std::uint8_t will_qos = flags >> 3U & 3U;
  if ((flags & flag_will) == 0 && (will_qos != 0 || (flags & flag_will_retain) != 0)) {
    return "will flags without a will";
  }
  if (will_qos == 3) return "will QoS 3";
  // [MQTT-3.1.2-22] of 3.1.1; 5.0 allows a password alone.
  if (version == Version::v3_1_1 && (flags & flag_password) != 0 && (flags & flag_user_name) == 0) {
    return "password without a user name";
  }
  return nullptr;
}

Result<Will, Error> read_will(Reader& reader, std::uint8_t flags, Version version) noexcept {
  Will will;
  will.qos = flags >> 3U & 3U;
  will.retain = (flags & flag_will_retain) != 0;
  if (version == Version::v5) {
    const auto properties = Properties::read(reader, PropertyPlace::will);
    if (!properties) return Unexpected{properties.error()};
    will.properties = *properties;
  }
  will.topic = reader.sized();
  will.payload = reader.sized();
  if (reader.bad()) return malformed("will past the end");
  if (will.topic.empty() || has_wildcard(will.topic) || !string_valid(will.topic)) {
    return malformed("will topic");
  }
  return will;
}

// Section 3.1.3: client identifier, will, user name, password.
Result<void, Error> read_payload(Reader& reader, std::uint8_t flags, Connect& connect) noexcept {
  connect.client_id = reader.sized();
  if (reader.bad()) return malformed("client identifier past the end");
  if (!string_valid(connect.client_id)) return malformed("client identifier is not UTF-8");
  if ((flags & flag_will) != 0) {
    const auto will = read_will(reader, flags, connect.version);
    if (!will) return Unexpected{will.error()};
    connect.will = *will;
  }
  if ((flags & flag_user_name) != 0) {
    connect.user_name = reader.sized();
    if (!string_valid(*connect.user_name)) return malformed("user name is not UTF-8");
  }
  if ((flags & flag_password) != 0) connect.password = reader.sized();
  if (reader.bad()) return malformed("credentials past the end");
  if (!reader.at_end()) return malformed("bytes after the payload");
  return {};
}

}  // namespace

std::optional<std::uint8_t> peek_protocol_level(const Frame& frame) noexcept {
  assert(frame.type == PacketType::connect);
  Reader reader(frame.body);
  const std::string_view name = reader.sized();
  const std::uint8_t level = reader.u8();
  if (reader.bad() || (name != protocol_name && name != "MQIsdp")) return std::nullopt;
  return level;
}

Result<Connect, Error> parse_connect(const Frame& frame) noexcept {
  assert(frame.type == PacketType::connect);
  Reader reader(frame.body);
  const std::string_view name = reader.sized();
  const std::uint8_t level = reader.u8();
  if (reader.bad()) return malformed("protocol name");
  if (name != protocol_name || (level != static_cast<std::uint8_t>(Version::v3_1_1) &&
                                level != static_cast<std::uint8_t>(Version::v5))) {
    return Unexpected{Error{ReasonCode::unsupported_protocol_version, "protocol version"}};
  }
  Connect connect;
  connect.version = static_cast<Version>(level);
  if (connect.version == Version::v5 && !frame.length_minimal) {
    return malformed("remaining length is not minimal");
  }
  const std::uint8_t flags = reader.u8();
  connect.keep_alive_s = reader.u16();
  if (reader.bad()) return malformed("CONNECT length");
  if (const char* problem = flags_problem(flags, connect.version)) return malformed(problem);
  connect.clean_start = (flags & flag_clean_start) != 0;
  if (connect.version == Version::v5) {
    const auto properties = Properties::read(reader, PropertyPlace::connect);
    if (!properties) return Unexpected{properties.error()};
    connect.properties = *properties;
  }
  const auto payload = read_payload(reader, flags, connect);
  if (!payload) return Unexpected{payload.error()};
  return connect;
}

}  // namespace tocsin::mqtt
