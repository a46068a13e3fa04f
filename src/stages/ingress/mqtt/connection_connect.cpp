// CONNECT, CONNACK and the will.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "flow/hub.hpp"
#include "protocol/mqtt/bytes.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PropertyId;
using mqtt::ReasonCode;
using mqtt::ReturnCode;

// Wildcards and control characters in identifiers have been ways around access rules that put the
// identifier into a filter or a log.
bool client_id_allowed(std::string_view id) noexcept {
  if (id.size() > mqtt_client_id_size_max) return false;
  return std::none_of(id.begin(), id.end(), [](char c) {
    return c == '+' || c == '#' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
}

std::string make_client_id(io::Io& io) {
  std::array<std::byte, 16> random{};
  io.random(random);
  std::string id = "tocsin-";
  constexpr std::string_view digits = "0123456789abcdef";
  for (const std::byte byte : random) {
    id += digits[static_cast<std::size_t>(byte) >> 4U];
    id += digits[static_cast<std::size_t>(byte) & 0xFU];
  }
  return id;
}

}  // namespace

void MqttConnection::handle_connect(const mqtt::Frame& frame) noexcept {
  const auto connect = mqtt::parse_connect(frame);
  if (!connect) {
    if (connect.error().code == ReasonCode::unsupported_protocol_version) {
      return refuse_version(frame);
    }
    // Section 4.13.1: a malformed CONNECT may be answered; the version may be known to be 5.
    if (mqtt::peek_protocol_level(frame) == static_cast<std::uint8_t>(mqtt::Version::v5)) {
      version_ = mqtt::Version::v5;
      return refuse_connect(connect.error().code, ReturnCode::not_authorized);
    }
    return abort(MqttClose::malformed);
  }
  version_ = connect->version;
  client_packet_size_max_ =
      connect->properties.number(PropertyId::maximum_packet_size, mqtt::remaining_length_max);
  client_receive_maximum_ = static_cast<std::uint16_t>(
      connect->properties.number(PropertyId::receive_maximum, UINT16_MAX));
  session_expires_ = connect->properties.number(PropertyId::session_expiry_interval, 0) == 0;
  if (!connect_acceptable(*connect) || !adopt_client_id(*connect)) return;
  if (connect->will && !keep_will(*connect->will)) return;
  state_ = State::connected;
  send_connack(*connect);
  if (state_ != State::connected) return;
  will_due_ = connect->will.has_value();
  if (keep_alive_ > Duration::zero()) {
    arm_after(keep_alive_);
  } else {
    server_.loop().disarm(*this);
  }
  if (const auto previous = server_.directory().claim(client_id_, owner())) {
    server_.take_over(*previous);
  }
}

// Section 3.1.2.2: a client that speaks a later version is answered in 5.0, an earlier one
// in 3.1.1.
void MqttConnection::refuse_version(const mqtt::Frame& frame) noexcept {
  const auto level = mqtt::peek_protocol_level(frame);
  if (!level) return abort(MqttClose::malformed);
  version_ = *level > static_cast<std::uint8_t>(mqtt::Version::v5) ? mqtt::Version::v5
                                                                   : mqtt::Version::v3_1_1;
  refuse_connect(ReasonCode::unsupported_protocol_version,
                 ReturnCode::unacceptable_protocol_version);
}

void MqttConnection::refuse_connect(ReasonCode code, ReturnCode code_3) noexcept {
  const std::span<char> out = room(5);
  if (out.empty()) return;
  const auto number = v5() ? static_cast<std::uint8_t>(code) : static_cast<std::uint8_t>(code_3);
  committed(mqtt::write_connack(out, {.session_present = false, .code = number}, version_));
  flush_and_close(MqttClose::connect_refused);
}

bool MqttConnection::connect_acceptable(const mqtt::Connect& connect) noexcept {
  if (connect.properties.has(PropertyId::authentication_method)) {
    refuse_connect(ReasonCode::bad_authentication_method, ReturnCode::not_authorized);
    return false;
  }
  if (!connect.will) return true;
  if (connect.will->topic.starts_with(flow::notification_topic_prefix)) {
    refuse_connect(ReasonCode::not_authorized, ReturnCode::not_authorized);
    return false;
  }
  // Sections 3.2.2.3.4 and 3.2.2.3.5. 3.1.1 knows no such refusal, and to us a will is an event.
  if (!v5()) return true;
  if (connect.will->qos > 1) {
    refuse_connect(ReasonCode::qos_not_supported, ReturnCode::not_authorized);
    return false;
  }
  if (connect.will->retain) {
    refuse_connect(ReasonCode::retain_not_supported, ReturnCode::not_authorized);
    return false;
  }
  return true;
}

bool MqttConnection::adopt_client_id(const mqtt::Connect& connect) noexcept {
  if (!connect.client_id.empty()) {
    if (client_id_allowed(connect.client_id)) {
      client_id_.assign(connect.client_id);
      return true;
    }
  } else if (v5() || connect.clean_start) {
    client_id_ = make_client_id(server_.loop().io());
    return true;
  }
  // [MQTT-3.1.3-8] of 3.1.1 for an empty identifier without a clean session.
  refuse_connect(ReasonCode::client_identifier_not_valid, ReturnCode::identifier_rejected);
  return false;
}

void MqttConnection::send_connack(const mqtt::Connect& connect) noexcept {
  const std::uint16_t keep_alive_max_s = server_.options().keep_alive_max_s;
  std::uint16_t keep_alive_s = connect.keep_alive_s;
  mqtt::PropertyBuilder<384> properties;
  if (v5()) {
    // Only clean sessions yet: whatever the client asked for, its session ends with the connection.
    if (!session_expires_) properties.add_u32(PropertyId::session_expiry_interval, 0);
    properties.add_u16(PropertyId::receive_maximum, server_.options().receive_maximum);
    properties.add_u8(PropertyId::maximum_qos, 1);
    properties.add_u8(PropertyId::retain_available, 0);
    properties.add_u32(PropertyId::maximum_packet_size,
                       static_cast<std::uint32_t>(server_.options().packet_size_max));
    properties.add_u16(PropertyId::topic_alias_maximum, 0);
    properties.add_u8(PropertyId::wildcard_subscription_available, 1);
    properties.add_u8(PropertyId::subscription_identifier_available, 0);
    properties.add_u8(PropertyId::shared_subscription_available, 0);
    if (keep_alive_max_s != 0 && (keep_alive_s == 0 || keep_alive_s > keep_alive_max_s)) {
      keep_alive_s = keep_alive_max_s;
      properties.add_u16(PropertyId::server_keep_alive, keep_alive_s);
    }
    if (connect.client_id.empty()) {
      properties.add_text(PropertyId::assigned_client_identifier, client_id_);
    }
  }
  assert(!properties.overflowed());
  // Section 3.1.2.10: one and a half times.
  keep_alive_ = std::chrono::milliseconds(1500) * keep_alive_s;
  std::array<char, 400> packet{};
  const std::size_t size = mqtt::write_connack(packet, {.properties = properties.view()}, version_);
  assert(size > 0);
  // [MQTT-3.1.2-24]: a client that cannot even take this cannot be served.
  if (size > client_packet_size_max_) return abort(MqttClose::packet_too_large);
  const std::span<char> out = room(size);
  if (out.empty()) return;
  std::memcpy(out.data(), packet.data(), size);
  committed(size);
}

// Kept as: properties with their length, topic with its length, payload.
bool MqttConnection::keep_will(const mqtt::Will& will) noexcept {
  const std::string_view block = will.properties.block();
  const std::size_t size = 4 + block.size() + 2 + will.topic.size() + will.payload.size();
  const std::span<char> out = will_.tail(size);
  if (out.empty()) {
    abort(MqttClose::memory);
    return false;
  }
  mqtt::Writer writer(out);
  writer.varint(static_cast<std::uint32_t>(block.size()));
  writer.raw(block);
  writer.sized(will.topic);
  writer.raw(will.payload);
  assert(!writer.overflowed());
  will_.commit(writer.size());
  return true;
}

bool MqttConnection::publish_will() noexcept {
  assert(will_due_);
  mqtt::Reader reader(will_.view());
  const auto properties = mqtt::Properties::read(reader, mqtt::PropertyPlace::will);
  assert(properties.has_value());
  const std::string_view topic = reader.sized();
  const auto accepted = submit(topic, reader.rest(), *properties, flow::AckToken{});
  if (accepted) return true;
  if (accepted.error().reason == flow::Refusal::capacity) {
    if (!waiting_) {
      waiting_ = true;
      server_.wait_for_capacity(slot_);
    }
    return false;
  }
  server_.stats().wills_lost.add();
  return true;
}

}  // namespace tocsin::ingress
