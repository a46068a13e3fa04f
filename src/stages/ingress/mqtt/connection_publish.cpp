// PUBLISH from a device and its acknowledgements: PUBACK, or PUBREC, PUBREL and PUBCOMP.

#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "protocol/mqtt/utf8.hpp"
#include "protocol/utf8.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"
#include "stages/ingress/mqtt/submission.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;
using mqtt::PropertyId;
using mqtt::ReasonCode;

PacketType answer_type(const mqtt::Publish& publish) noexcept {
  return publish.qos == 2 ? PacketType::pubrec : PacketType::puback;
}

}  // namespace

bool MqttConnection::handle_publish(const mqtt::Frame& frame) noexcept {
  const auto parsed = mqtt::parse_publish(frame, version_);
  if (!parsed) {
    fail(parsed.error());
    return true;
  }
  mqtt::Publish publish = *parsed;
  if (!publish.properties.empty() && !resolve_alias(publish)) return true;
  if (publish.qos == 2 && repeated(publish)) return true;
  if (publish.qos > 0 && over_receive_maximum(publish)) return !receiving();
  if (const auto refusal = forbidden(publish)) {
    server_.stats().publishes.add();
    refuse_publish(publish, {.reason = *refusal});
    return true;
  }
  switch (take_quota(publish)) {
    case Quota::paused:
      return false;
    case Quota::refused:
      server_.stats().publishes.add();
      refuse_publish(publish, {.reason = flow::Refusal::quota});
      return true;
    case Quota::granted:
      break;
  }
  return submit(publish);
}

bool MqttConnection::resolve_alias(mqtt::Publish& publish) noexcept {
  if (const char* const problem = mqtt::sender_problem(publish, mqtt::Role::client)) {
    fail({ReasonCode::protocol_error, problem});
    return false;
  }
  if (!publish.properties.has(PropertyId::topic_alias)) return true;
  const auto alias =
      static_cast<std::uint16_t>(publish.properties.number(PropertyId::topic_alias, 0));
  if (alias == 0 || alias > server_.options().topic_alias_max) {
    fail({ReasonCode::topic_alias_invalid, "topic alias above the maximum"});
    return false;
  }
  if (publish.topic.empty()) {
    if (aliases_in_) publish.topic = aliases_in_->find(alias);
    // Section 3.3.4.
    if (publish.topic.empty()) fail({ReasonCode::protocol_error, "topic alias without a topic"});
    return !publish.topic.empty();
  }
  if (!aliases_in_) aliases_in_ = std::make_unique<InboundAliases>(server_.budget());
  if (aliases_in_->set(alias, publish.topic)) return true;
  abort(MqttClose::memory);
  return false;
}

// [MQTT-4.3.3-10]: the same identifier before its PUBREL is the same message, stored once.
bool MqttConnection::repeated(const mqtt::Publish& publish) noexcept {
  const Incoming* const known = session_->incoming_of(publish.packet_id);
  if (known == nullptr) return false;
  server_.stats().publishes.add();
  if (known->stored) put_ack(PacketType::pubrec, publish.packet_id, ReasonCode::success);
  return true;
}

bool MqttConnection::over_receive_maximum(const mqtt::Publish&) noexcept {
  std::size_t unacknowledged = inflight_;
  if (!session_->incoming.empty()) {
    unacknowledged += session_->incoming.size() - session_->uncommitted();
  }
  if (unacknowledged < server_.options().receive_maximum) return false;
  // 3.1.1 has no such number to agree on: there the client waits at its socket, as long as it is us
  // who owe it something.
  if (!v5() && inflight_ > 0) {
    stop(stop_inflight);
  } else {
    end(MqttClose::receive_maximum, ReasonCode::receive_maximum_exceeded);
  }
  return true;
}

std::optional<flow::Refusal> MqttConnection::forbidden(
    const mqtt::Publish& publish) const noexcept {
  if (server_.reserved_topic(publish.topic)) return flow::Refusal::topic;
  if (identity_ != nullptr &&
      !identity_->allows(flow::Access::publish, publish.topic, client_id_)) {
    return flow::Refusal::access;
  }
  if (!publish.properties.empty() &&
      publish.properties.number(PropertyId::payload_format_indicator, 0) == 1 &&
      !utf8_valid(publish.payload)) {
    return flow::Refusal::content_type;
  }
  return {};
}

MqttConnection::Quota MqttConnection::take_quota(const mqtt::Publish& publish) noexcept {
  flow::Quotas* const quotas = server_.quotas();
  if (quota_taken_ || quotas == nullptr || !quotas->enabled()) return Quota::granted;
  const std::string_view user = identity_ != nullptr ? identity_->user() : std::string_view{};
  const MonoTime now = server_.loop().now();
  const auto wait = quotas->take_client(user, peer_, 1, now);
  if (!wait) {
    quota_taken_ = true;
    return Quota::granted;
  }
  if (v5() && publish.qos > 0) return Quota::refused;
  // Nobody could be told: the client waits at its socket.
  server_.pause(slot_, now + *wait);
  stop(stop_quota);
  return Quota::paused;
}

bool MqttConnection::submit(const mqtt::Publish& publish) noexcept {
  switch (take(publish)) {
    case flow::Taken::yes:
      quota_taken_ = false;
      server_.stats().publishes.add();
      return true;
    case flow::Taken::no_room:
      stop(stop_capacity);
      return false;
    case flow::Taken::unusual:
      break;
  }
  return submit_unusual(publish);
}

flow::Taken MqttConnection::take(const mqtt::Publish& publish) noexcept {
  if (publish.qos == 2 || !publish.properties.empty() || session_->no_local_count > 0) {
    return flow::Taken::unusual;
  }
  flow::AckToken token{nullptr, slot_, generation_, publish.packet_id};
  if (publish.qos > 0) {
    token.sink = &server_;
    ++inflight_;  // Before: it may be refused from within the call.
  }
  const flow::PlainEvent event{.topic = publish.topic,
                               .payload = publish.payload,
                               .qos = publish.qos,
                               .retain = publish.retain};
  const flow::Taken taken = server_.intake().take(event, token, server_);
  if (publish.qos > 0 && taken != flow::Taken::yes) --inflight_;
  return taken;
}

bool MqttConnection::submit_unusual(const mqtt::Publish& publish) noexcept {
  Submission submission{.topic = publish.topic,
                        .payload = publish.payload,
                        .properties = publish.properties,
                        .qos = publish.qos,
                        .retain = publish.retain,
                        .publisher = {},
                        .token = {}};
  if (session_->no_local_count > 0) submission.publisher = client_id_;
  if (publish.qos > 0) {
    submission.token = {
        &server_, slot_, generation_,
        publish.qos == 1 ? publish.packet_id : qos_2_detail(session_->uid, publish.packet_id)};
    // Counted before: the intake may acknowledge from within the call.
    ++inflight_;
  }
  if (publish.qos == 2) session_->incoming.push_back({.packet_id = publish.packet_id});
  const auto accepted = ingress::submit(server_.intake(), submission,
                                        server_.options().route_unmatched, event_taken_);
  if (!accepted) {
    if (publish.qos > 0) --inflight_;
    if (publish.qos == 2) session_->forget_incoming(publish.packet_id);
    if (accepted.error().reason == flow::Refusal::capacity) {
      stop(stop_capacity);
      return false;
    }
  }
  quota_taken_ = false;
  server_.stats().publishes.add();
  if (!accepted) refuse_publish(publish, accepted.error());
  return true;
}

void MqttConnection::refuse_publish(const mqtt::Publish& publish,
                                    const flow::Rejection& rejection) noexcept {
  const flow::Refusal reason = rejection.reason;
  server_.stats().refused[static_cast<std::size_t>(reason)].add();
  if (reason == flow::Refusal::shutting_down) {
    // Not acknowledged: the client sends it again to whoever comes next.
    return end(MqttClose::shutdown, ReasonCode::server_shutting_down);
  }
  const bool closes = reason == flow::Refusal::topic ||
                      (reason == flow::Refusal::access && server_.options().close_denied);
  if (!v5() && closes) return abort(MqttClose::not_authorized);
  if (publish.qos == 0) return;
  if (v5() && rejection.retry_after > Duration::zero()) {
    return put_ack(answer_type(publish), publish.packet_id, reason_of(reason), "try again later");
  }
  // MQTT 3.1.1 section 3.3.5: there the server must acknowledge, or close; closing would make a
  // client with one bad message send it for ever.
  if (!v5() && publish.qos == 2) {
    session_->incoming.push_back({.packet_id = publish.packet_id, .stored = true});
  }
  put_ack(answer_type(publish), publish.packet_id, reason_of(reason), rejection.detail);
}

void MqttConnection::put_ack(PacketType type, std::uint16_t packet_id, ReasonCode reason,
                             std::string_view detail) noexcept {
  if (type == PacketType::puback) server_.stats().pubacks.add();
  mqtt::Ack ack{.type = type, .packet_id = packet_id, .reason = reason};
  if (!v5() || reason == ReasonCode::success || detail.empty() || !reasons_wanted_) {
    // Packet, reason and nothing else: at most five bytes plus the properties' length.
    const std::span<char> out = room(8);
    if (!out.empty()) committed(mqtt::write_ack(out, ack, version_));
    return;
  }
  mqtt::PropertyBuilder<160> properties;
  properties.add_text(PropertyId::reason_string, detail);
  ack.properties = properties.view();
  std::array<char, 192> packet{};
  const std::size_t size = mqtt::write_ack(packet, ack, version_);
  // [MQTT-3.4.2-2]
  if (size > client_packet_size_max_) return put_ack(type, packet_id, reason);
  const std::span<char> out = room(size);
  if (out.empty()) return;
  std::memcpy(out.data(), packet.data(), size);
  committed(size);
}

void MqttConnection::on_ack(std::uint16_t packet_id, bool stored) noexcept {
  if (state_ != State::connected && state_ != State::finishing) return;
  assert(inflight_ > 0);
  --inflight_;
  if (packet_id != 0) {
    if (stored) {
      put_ack(PacketType::puback, packet_id, ReasonCode::success);
    } else {
      server_.stats().refused[static_cast<std::size_t>(flow::Refusal::commit_failed)].add();
      if (!v5()) return end(MqttClose::not_stored, ReasonCode::success);
      put_ack(PacketType::puback, packet_id, reason_of(flow::Refusal::commit_failed));
    }
  }
  go_on(stop_inflight);
  finish_if_idle();
}

void MqttConnection::on_refused(std::uint16_t packet_id,
                                const flow::Rejection& rejection) noexcept {
  if (packet_id == 0 || (state_ != State::connected && state_ != State::finishing)) return;
  assert(inflight_ > 0);
  --inflight_;
  put_ack(PacketType::puback, packet_id, reason_of(rejection.reason), rejection.detail);
  go_on(stop_inflight);
  finish_if_idle();
}

void MqttConnection::on_commit(std::uint16_t packet_id, bool stored) noexcept {
  if (state_ != State::connected && state_ != State::finishing) return;
  if (stored) {
    server_.sessions().keeper().session(*session_);
    return put_ack(PacketType::pubrec, packet_id, ReasonCode::success);
  }
  server_.stats().refused[static_cast<std::size_t>(flow::Refusal::commit_failed)].add();
  if (!v5()) return end(MqttClose::not_stored, ReasonCode::success);
  put_ack(PacketType::pubrec, packet_id, reason_of(flow::Refusal::commit_failed));
}

void MqttConnection::handle_pubrel(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, version_);
  if (!ack) return fail(ack.error());
  const bool known = session_->incoming_of(ack->packet_id) != nullptr;
  if (known) {
    session_->forget_incoming(ack->packet_id);
    server_.sessions().keeper().session(*session_);
    go_on(stop_inflight);
  }
  put_ack(PacketType::pubcomp, ack->packet_id,
          known ? ReasonCode::success : ReasonCode::packet_identifier_not_found);
}

}  // namespace tocsin::ingress
