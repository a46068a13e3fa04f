// PUBLISH from a device: an event for the intake, and its PUBACK.

#include <array>
#include <cassert>

#include <tocsin/limits.hpp>

#include "flow/hub.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PropertyId;
using mqtt::ReasonCode;

// The media type, without parameters, in any case of letters (CloudEvents MQTT binding 3.0.1).
bool is_structured(std::string_view content_type) noexcept {
  constexpr std::string_view wanted = "application/cloudevents+json";
  if (content_type.size() < wanted.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const char c = content_type[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower != wanted[i]) return false;
  }
  const std::string_view rest = content_type.substr(wanted.size());
  return rest.empty() || rest.front() == ';' || rest.front() == ' ';
}

// The User Properties of a publish, as the intake wants them.
struct Attributes {
  std::array<flow::Field, extensions_max> fields;
  std::size_t count = 0;
  bool overflowed = false;
  std::string_view traceparent;
  std::size_t traceparent_index = 0;
  unsigned context = 0;  // Bits: which of the four required CloudEvents attributes are there.

  explicit Attributes(const mqtt::Properties& properties) noexcept {
    properties.for_each_user_property([&](std::string_view name, std::string_view value) {
      if (count == fields.size()) {
        overflowed = true;
        return false;
      }
      if (name == "traceparent") {
        traceparent = value;
        traceparent_index = count;
      }
      if (name == "specversion") context |= 1U;
      if (name == "id") context |= 2U;
      if (name == "source") context |= 4U;
      if (name == "type") context |= 8U;
      fields[count++] = {name, value};
      return true;
    });
  }
  [[nodiscard]] bool cloudevent() const noexcept { return context == 15U; }
  // The trace of the hop has its own place; only in a CloudEvent it is an attribute as well.
  void remove_traceparent() noexcept {
    if (traceparent.data() != nullptr) fields[traceparent_index] = fields[--count];
  }
};

// Section 3.4.2.1: what a client may be told about its message.
ReasonCode reason_of(flow::Refusal refusal) noexcept {
  switch (refusal) {
    case flow::Refusal::unknown_source:
    case flow::Refusal::inactive_source:
      return ReasonCode::topic_name_invalid;
    case flow::Refusal::topic:
    case flow::Refusal::access:
      return ReasonCode::not_authorized;
    case flow::Refusal::too_large:
    case flow::Refusal::attribute_size:
    case flow::Refusal::entries:
    case flow::Refusal::capacity:
    case flow::Refusal::quota:
      return ReasonCode::quota_exceeded;
    case flow::Refusal::empty:
    case flow::Refusal::json_syntax:
    case flow::Refusal::json_utf8:
    case flow::Refusal::json_depth:
    case flow::Refusal::json_number:
    case flow::Refusal::envelope:
    case flow::Refusal::content_type:
      return ReasonCode::payload_format_invalid;
    case flow::Refusal::commit_failed:
      return ReasonCode::implementation_specific_error;
    case flow::Refusal::shutting_down:
      break;
  }
  return ReasonCode::unspecified_error;
}

}  // namespace

bool MqttConnection::handle_publish(const mqtt::Frame& frame) noexcept {
  const auto parsed = mqtt::parse_publish(frame, version_);
  if (!parsed) {
    fail(parsed.error());
    return true;
  }
  const mqtt::Publish& publish = *parsed;
  if (!publish_allowed(publish)) return true;
  if (publish.qos == 1 && inflight_ >= server_.options().receive_maximum) {
    if (v5()) {
      end(MqttClose::receive_maximum, ReasonCode::receive_maximum_exceeded);
      return true;
    }
    // 3.1.1 has no such number to agree on: the client waits at its socket instead.
    stop(stop_inflight);
    return false;
  }
  if (publish.topic.starts_with(flow::notification_topic_prefix)) {
    server_.stats().publishes.add();
    refuse_publish(publish, flow::Refusal::topic);
    return true;
  }
  flow::AckToken token;
  if (publish.qos == 1) token = {&server_, slot_, generation_, publish.packet_id};
  // Counted before: the intake may acknowledge from within the call.
  inflight_ += publish.qos;
  const auto accepted = submit(publish.topic, publish.payload, publish.properties, token);
  if (!accepted) inflight_ -= publish.qos;
  if (!accepted && accepted.error().reason == flow::Refusal::capacity) {
    stop(stop_capacity);
    return false;
  }
  server_.stats().publishes.add();
  if (!accepted) refuse_publish(publish, accepted.error().reason);
  return true;
}

bool MqttConnection::publish_allowed(const mqtt::Publish& publish) noexcept {
  if (publish.qos == 2) {
    end(MqttClose::unsupported, ReasonCode::qos_not_supported);
  } else if (publish.retain && v5()) {
    end(MqttClose::unsupported, ReasonCode::retain_not_supported);
  } else if (publish.properties.has(PropertyId::topic_alias)) {
    // Above the maximum of 0 that CONNACK announced (section 3.3.2.3.4).
    end(MqttClose::unsupported, ReasonCode::topic_alias_invalid);
  } else if (publish.properties.has(PropertyId::subscription_identifier)) {
    // [MQTT-3.3.4-6]
    fail({ReasonCode::protocol_error, "subscription identifier from a client"});
  } else {
    return true;
  }
  return false;
}

Result<flow::Accepted, flow::Rejection> MqttConnection::submit(
    std::string_view topic, std::string_view payload, const mqtt::Properties& properties,
    const flow::AckToken& token) noexcept {
  flow::RawEvent event;
  event.envelope = flow::Envelope::device;
  event.topic = topic;
  event.payload = payload;
  if (properties.empty()) return server_.intake().add(event, token);
  Attributes attributes(properties);
  if (attributes.overflowed) {
    return Unexpected{flow::Rejection{flow::Refusal::attribute_size, "too many user properties"}};
  }
  event.content_type = properties.text(PropertyId::content_type);
  const bool structured = is_structured(event.content_type);
  if (structured || !attributes.cloudevent()) attributes.remove_traceparent();
  event.attributes = {attributes.fields.data(), attributes.count};
  event.traceparent = attributes.traceparent;
  if (structured) {
    event.envelope = flow::Envelope::cloudevents;
  } else if (attributes.cloudevent()) {
    event.envelope = flow::Envelope::cloudevents_binary;
  }
  return server_.intake().add(event, token);
}

void MqttConnection::refuse_publish(const mqtt::Publish& publish, flow::Refusal reason) noexcept {
  server_.stats().refused[static_cast<std::size_t>(reason)].add();
  if (reason == flow::Refusal::shutting_down) {
    // Not acknowledged: the client sends it again to whoever comes next.
    return end(MqttClose::shutdown, ReasonCode::server_shutting_down);
  }
  if (!v5() && reason == flow::Refusal::topic) return abort(MqttClose::not_authorized);
  if (publish.qos == 0) return;
  // MQTT 3.1.1 section 3.3.5: there the server must acknowledge, or close; closing would make a
  // client with one bad message send it for ever.
  put_puback(publish.packet_id, reason_of(reason));
}

void MqttConnection::put_puback(std::uint16_t packet_id, ReasonCode reason) noexcept {
  // Packet, reason and nothing else: at most five bytes plus the properties' length.
  const std::span<char> out = room(8);
  if (out.empty()) return;
  committed(mqtt::write_ack(out, {.packet_id = packet_id, .reason = reason}, version_));
  server_.stats().pubacks.add();
}

void MqttConnection::on_ack(std::uint16_t packet_id, bool stored) noexcept {
  if (state_ != State::connected && state_ != State::finishing) return;
  assert(inflight_ > 0);
  --inflight_;
  if (stored) {
    put_puback(packet_id, ReasonCode::success);
  } else {
    server_.stats().refused[static_cast<std::size_t>(flow::Refusal::commit_failed)].add();
    if (!v5()) return end(MqttClose::not_stored, ReasonCode::success);
    put_puback(packet_id, reason_of(flow::Refusal::commit_failed));
  }
  go_on(stop_inflight);
  finish_if_idle();
}

}  // namespace tocsin::ingress
