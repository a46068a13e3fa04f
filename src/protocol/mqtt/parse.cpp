#include <cassert>

#include "protocol/mqtt/packets.hpp"
#include "protocol/mqtt/utf8.hpp"

namespace tocsin::mqtt {
namespace {

Unexpected<Error> malformed(std::string_view detail) noexcept {
  return Unexpected{Error{ReasonCode::malformed_packet, detail}};
}
Unexpected<Error> violated(std::string_view detail) noexcept {
  return Unexpected{Error{ReasonCode::protocol_error, detail}};
}

// [MQTT-1.5.5-1] holds for the Remaining Length too, but 3.1.1 has no such rule.
bool length_wrong(const Frame& frame, Version version) noexcept {
  return version == Version::v5 && !frame.length_minimal;
}
constexpr std::string_view not_minimal = "remaining length is not minimal";

// Reads the properties of a 5.0 packet; 3.1.1 has none.
Result<Properties, Error> properties_of(Reader& reader, Version version,
                                        PropertyPlace place) noexcept {
  if (version != Version::v5) return Properties{};
  return Properties::read(reader, place);
}

// The tail of PUBACK and its like, DISCONNECT and AUTH: reason and properties may be left out.
Result<void, Error> read_reason(Reader& reader, PacketType type, PropertyPlace place,
                                ReasonCode& reason, Properties& properties) noexcept {
  if (reader.at_end()) return {};
  reason = static_cast<ReasonCode>(reader.u8());
  if (!reason_allowed(type, reason)) return malformed("reason code");
  if (reader.at_end()) return {};
  const auto read = Properties::read(reader, place);
  if (!read) return Unexpected{read.error()};
  properties = *read;
  if (!reader.at_end()) return malformed("bytes after the properties");
  return {};
}

}  // namespace

Result<ConnAck, Error> parse_connack(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::connack);
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Reader reader(frame.body);
  ConnAck connack;
  const std::uint8_t flags = reader.u8();
  connack.code = reader.u8();
  const auto properties = properties_of(reader, version, PropertyPlace::connack);
  if (!properties) return Unexpected{properties.error()};
  connack.properties = *properties;
  if (reader.bad() || !reader.at_end()) return malformed("CONNACK length");
  if (flags > 1) return malformed("CONNACK reserved flags");
  connack.session_present = flags == 1;
  const bool known =
      version == Version::v5
          ? reason_allowed(PacketType::connack, static_cast<ReasonCode>(connack.code))
          : connack.code <= static_cast<std::uint8_t>(ReturnCode::not_authorized);
  if (!known) return malformed("CONNACK code");
  // [MQTT-3.2.2-6]
  if (connack.session_present && connack.code != 0) return violated("session after a refusal");
  return connack;
}

Result<Publish, Error> parse_publish(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::publish);
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Reader reader(frame.body);
  Publish publish;
  publish.dup = (frame.flags & 8U) != 0;
  publish.qos = frame.flags >> 1U & 3U;
  publish.retain = (frame.flags & 1U) != 0;
  publish.topic = reader.sized();
  if (publish.qos > 0) publish.packet_id = reader.u16();
  if (reader.bad()) return malformed("PUBLISH length");
  if (publish.qos > 0 && publish.packet_id == 0) return violated("packet identifier 0");
  if (version == Version::v5 && !reader.skip('\0')) {
    const auto properties = Properties::read(reader, PropertyPlace::publish);
    if (!properties) return Unexpected{properties.error()};
    publish.properties = *properties;
  }
  const bool alias = publish.properties.has(PropertyId::topic_alias);
  if (alias && publish.properties.number(PropertyId::topic_alias, 0) == 0) {
    return Unexpected{Error{ReasonCode::topic_alias_invalid, "topic alias 0"}};
  }
  if (publish.topic.empty() && !alias) return violated("empty topic");
  if (!plain_topic_name(publish.topic)) {
    if (!string_valid(publish.topic)) return malformed("topic is not UTF-8");
    if (has_wildcard(publish.topic)) return malformed("wildcard in a topic name");
  }
  publish.payload = reader.take_rest();
  return publish;
}

Result<Ack, Error> parse_ack(const Frame& frame, Version version) noexcept {
  assert(frame.type >= PacketType::puback && frame.type <= PacketType::pubcomp);
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Reader reader(frame.body);
  Ack ack;
  ack.type = frame.type;
  ack.packet_id = reader.u16();
  if (reader.bad()) return malformed("acknowledgement length");
  if (ack.packet_id == 0) return violated("packet identifier 0");
  if (version != Version::v5) {
    if (!reader.at_end()) return malformed("acknowledgement length");
    return ack;
  }
  const auto tail =
      read_reason(reader, frame.type, PropertyPlace::puback, ack.reason, ack.properties);
  if (!tail) return Unexpected{tail.error()};
  return ack;
}

namespace {

// Section 3.8.3.1 and MQTT 3.1.1 section 3.8.3.
Result<void, Error> check_options(std::uint8_t options, std::string_view filter,
                                  Version version) noexcept {
  if ((options & 3U) == 3U) {
    if (version == Version::v5) return violated("QoS 3 in a subscription");
    return malformed("QoS 3 in a subscription");
  }
  if (version != Version::v5) {
    if (options > 2) return malformed("reserved bits in a subscription");
    return {};
  }
  if ((options & 0xC0U) != 0) return malformed("reserved bits in a subscription");
  if ((options & 0x30U) == 0x30U) return violated("retain handling 3");
  if ((options & 4U) != 0 && filter.starts_with("$share/")) {
    return violated("no local on a shared subscription");
  }
  return {};
}

Result<Subscribe, Error> parse_filters(const Frame& frame, Version version, PropertyPlace place,
                                       bool with_options) noexcept {
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Reader reader(frame.body);
  Subscribe subscribe;
  subscribe.with_options = with_options;
  subscribe.packet_id = reader.u16();
  if (reader.bad()) return malformed("packet identifier missing");
  if (subscribe.packet_id == 0) return violated("packet identifier 0");
  const auto properties = properties_of(reader, version, place);
  if (!properties) return Unexpected{properties.error()};
  subscribe.properties = *properties;
  subscribe.entries = reader.rest();
  if (subscribe.entries.empty()) return violated("no topic filter");
  while (!reader.at_end()) {
    const std::string_view filter = reader.sized();
    const std::uint8_t options = with_options ? reader.u8() : std::uint8_t{0};
    if (reader.bad()) return malformed("topic filter past the end");
    if (filter.empty()) return malformed("empty topic filter");
    if (!string_valid(filter)) return malformed("topic filter is not UTF-8");
    const auto checked = check_options(options, filter, version);
    if (!checked) return Unexpected{checked.error()};
  }
  return subscribe;
}

Result<SubAck, Error> parse_codes(const Frame& frame, Version version,
                                  PropertyPlace place) noexcept {
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Reader reader(frame.body);
  SubAck suback;
  suback.packet_id = reader.u16();
  if (reader.bad()) return malformed("packet identifier missing");
  if (suback.packet_id == 0) return violated("packet identifier 0");
  const auto properties = properties_of(reader, version, place);
  if (!properties) return Unexpected{properties.error()};
  suback.properties = *properties;
  suback.codes = reader.take_rest();
  return suback;
}

}  // namespace

Result<Subscribe, Error> parse_subscribe(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::subscribe);
  return parse_filters(frame, version, PropertyPlace::subscribe, true);
}

Result<Subscribe, Error> parse_unsubscribe(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::unsubscribe);
  return parse_filters(frame, version, PropertyPlace::unsubscribe, false);
}

Result<SubAck, Error> parse_suback(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::suback);
  const auto suback = parse_codes(frame, version, PropertyPlace::suback);
  if (!suback) return suback;
  if (suback->codes.empty()) return violated("no code");
  for (const char code : suback->codes) {
    const auto value = static_cast<std::uint8_t>(code);
    const bool known = version == Version::v5
                           ? reason_allowed(PacketType::suback, static_cast<ReasonCode>(value))
                           : value <= 2 || value == suback_failure;
    if (!known) return malformed("SUBACK code");
  }
  return suback;
}

Result<SubAck, Error> parse_unsuback(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::unsuback);
  const auto unsuback = parse_codes(frame, version, PropertyPlace::unsuback);
  if (!unsuback) return unsuback;
  if (version != Version::v5) {
    if (!unsuback->codes.empty()) return malformed("UNSUBACK with a payload");
    return unsuback;
  }
  if (unsuback->codes.empty()) return violated("no code");
  for (const char code : unsuback->codes) {
    if (!reason_allowed(PacketType::unsuback, static_cast<ReasonCode>(code))) {
      return malformed("UNSUBACK code");
    }
  }
  return unsuback;
}

Result<Disconnect, Error> parse_disconnect(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::disconnect);
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Disconnect disconnect;
  if (version != Version::v5) {
    if (!frame.body.empty()) return malformed("DISCONNECT with a body");
    return disconnect;
  }
  Reader reader(frame.body);
  const auto tail = read_reason(reader, PacketType::disconnect, PropertyPlace::disconnect,
                                disconnect.reason, disconnect.properties);
  if (!tail) return Unexpected{tail.error()};
  return disconnect;
}

Result<Auth, Error> parse_auth(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::auth);
  if (version != Version::v5) return malformed("AUTH before 5.0");
  if (length_wrong(frame, version)) return malformed(not_minimal);
  Auth auth;
  Reader reader(frame.body);
  const auto tail =
      read_reason(reader, PacketType::auth, PropertyPlace::auth, auth.reason, auth.properties);
  if (!tail) return Unexpected{tail.error()};
  // Section 3.15.2.2.2; only the empty AUTH of section 3.15.2.1 goes without.
  if (!frame.body.empty() && !auth.properties.has(PropertyId::authentication_method)) {
    return violated("AUTH without a method");
  }
  return auth;
}

Result<void, Error> parse_ping(const Frame& frame, Version version) noexcept {
  assert(frame.type == PacketType::pingreq || frame.type == PacketType::pingresp);
  assert(frame.body.empty());
  if (length_wrong(frame, version)) return malformed(not_minimal);
  return {};
}

}  // namespace tocsin::mqtt
