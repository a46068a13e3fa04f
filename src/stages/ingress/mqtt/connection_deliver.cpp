// Messages that go out to the client, and how it acknowledges them.

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "protocol/mqtt/forward.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;

// Section 3.3.2.3.3: what it had, less the time that it waited here.
std::uint32_t seconds_left(MonoTime expires, MonoTime now) noexcept {
  const auto left = std::chrono::ceil<std::chrono::seconds>(expires - now);
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left.count(), 0));
}

}  // namespace

MqttConnection::Written MqttConnection::write_publish(
    const RoutedMessage& message, std::uint16_t packet_id, std::uint8_t qos, bool retain, bool dup,
    std::span<const std::uint32_t> identifiers) noexcept {
  const MonoTime now = server_.loop().now();
  // One that was sent before goes on to its end.
  if (message.expires <= now && !dup) return Written::expired;
  mqtt::Publish publish{.topic = message.topic,
                        .payload = message.payload,
                        .packet_id = packet_id,
                        .qos = qos,
                        .dup = dup,
                        .retain = retain};
  mqtt::ForwardProperties properties;
  mqtt::ForwardExtras extras;
  bool new_alias = false;
  if (v5()) {
    if (const auto read = mqtt::ForwardProperties::read(message.properties)) properties = *read;
    if (properties.expiry_s()) extras.expiry_s = seconds_left(message.expires, now);
    extras.subscription_ids = identifiers;
    new_alias = choose_alias(publish, extras.topic_alias);
  }
  std::size_t size = mqtt::forward_size(publish, properties, extras, version_);
  if (size == 0 || size > client_packet_size_max_) return Written::too_large;
  if (output_size() > 0 && output_size() + size > server_.options().output_bytes_max) {
    return Written::no_room;
  }
  const std::span<char> out = pending_.tail(size);
  if (out.empty()) return Written::no_room;
  // The packet itself may have taken the memory that the alias needs.
  if (new_alias && !aliases_out_->add(message.topic)) {
    extras.topic_alias = 0;
    size = mqtt::forward_size(publish, properties, extras, version_);
  }
  mqtt::write_forward(out, publish, properties, extras, version_);
  server_.stats().delivered.add();
  committed(size);
  return Written::yes;
}

// An alias that the topic has takes its place. True: it is to get the one chosen, once there is
// room for the packet that says so.
bool MqttConnection::choose_alias(mqtt::Publish& publish, std::uint16_t& alias) const noexcept {
  if (!aliases_out_) return false;
  alias = aliases_out_->find(publish.topic);
  if (alias != 0) {
    publish.topic = {};
    return false;
  }
  if (!aliases_out_->wants(publish.topic)) return false;
  alias = aliases_out_->next();
  return true;
}

void MqttConnection::pump() noexcept {
  if (!can_send() || session_ == nullptr) return;
  server_.router().continue_retained(*session_);
  if (!can_send() || !session_->outbox) return;
  if (send_waiting(*session_->outbox) || !can_send()) return;
  // What is on its way leads back here when it is sent; without it nothing would.
  if (output_size() == 0 && !std::exchange(starved_, true)) server_.wait_for_memory(slot_);
}

bool MqttConnection::send_waiting(Outbox& outbox) noexcept {
  while (outbox.resent < outbox.inflight.size()) {
    if (outbox.resent >= window()) return true;
    if (!resend(outbox)) return false;
  }
  while (!outbox.queue.empty() && outbox.inflight.size() < window()) {
    if (!send_next(outbox)) return false;
  }
  return true;
}

void MqttConnection::end_starving() noexcept {
  starved_ = false;
  pump();
}

// Sends again what the session had in flight on an earlier connection ([MQTT-4.4.0-1]). False: no
// room.
bool MqttConnection::resend(Outbox& outbox) noexcept {
  Outgoing& outgoing = outbox.inflight[outbox.resent];
  if (outgoing.state == Outgoing::State::released) {
    // Asked first: without memory a delivery waits, it does not end the connection.
    constexpr std::size_t pubrel_size = 8;
    if (output_size() > server_.options().output_bytes_max || pending_.tail(pubrel_size).empty()) {
      return false;
    }
    ++outbox.resent;
    put_ack(PacketType::pubrel, outgoing.packet_id, ReasonCode::success);
    return can_send();
  }
  const Written written = write_publish(outgoing.message->view(), outgoing.packet_id, outgoing.qos,
                                        outgoing.retain, outgoing.dup, outgoing.identifiers);
  if (written == Written::no_room) return false;
  if (written == Written::yes) {
    ++outbox.resent;
    return true;
  }
  server_.stats().drop(written == Written::expired ? MqttDrop::expired : MqttDrop::too_large);
  server_.sessions().keeper().done(*session_, outgoing);
  outbox.erase(outgoing);
  return true;
}

bool MqttConnection::send_next(Outbox& outbox) noexcept {
  Outgoing& next = outbox.queue.front();
  const std::uint16_t packet_id = outbox.take_packet_id();
  const Written written = write_publish(next.message->view(), packet_id, next.qos, next.retain,
                                        false, next.identifiers);
  if (written == Written::no_room) {
    --outbox.last_packet_id;
    return false;
  }
  outbox.queue_bytes -= next.message->cost();
  if (written == Written::yes) {
    next.packet_id = packet_id;
    next.state = Outgoing::State::sent;
    // Only of QoS 2 the receiver may have the first half, under this identifier.
    if (next.qos == 2) server_.sessions().keeper().message(*session_, next, nullptr);
    if (!session_->persistent()) next.message.reset();
    outbox.inflight.push_back(std::move(next));
    ++outbox.resent;
  } else {
    server_.stats().drop(written == Written::expired ? MqttDrop::expired : MqttDrop::too_large);
    server_.sessions().keeper().done(*session_, next);
  }
  outbox.queue.pop_front();
  return true;
}

void MqttConnection::handle_puback(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, version_);
  if (!ack) return fail(ack.error());
  Outgoing* const outgoing = session_->outbox ? session_->outbox->find(ack->packet_id) : nullptr;
  // An identifier that is not in flight is ignored, as brokers do: a late answer harms nobody.
  if (outgoing == nullptr || outgoing->qos != 1) return;
  server_.sessions().keeper().done(*session_, *outgoing);
  session_->outbox->erase(*outgoing);
  pump();
}

void MqttConnection::handle_pubrec(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, version_);
  if (!ack) return fail(ack.error());
  Outgoing* const outgoing = session_->outbox ? session_->outbox->find(ack->packet_id) : nullptr;
  if (outgoing == nullptr || outgoing->qos != 2) {
    if (ack->reason >= ReasonCode::unspecified_error) return;
    return put_ack(PacketType::pubrel, ack->packet_id, ReasonCode::packet_identifier_not_found);
  }
  // Section 4.3.3: with an error the receiver has let go of it.
  if (ack->reason >= ReasonCode::unspecified_error) {
    server_.sessions().keeper().done(*session_, *outgoing);
    session_->outbox->erase(*outgoing);
    return pump();
  }
  if (outgoing->state == Outgoing::State::sent) {
    outgoing->state = Outgoing::State::released;
    outgoing->message.reset();
    // In this order: the one without its message is not recognized when that is routed again.
    server_.sessions().keeper().session(*session_);
    server_.sessions().keeper().message(*session_, *outgoing, nullptr);
  }
  put_ack(PacketType::pubrel, ack->packet_id, ReasonCode::success);
}

void MqttConnection::handle_pubcomp(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, version_);
  if (!ack) return fail(ack.error());
  Outgoing* const outgoing = session_->outbox ? session_->outbox->find(ack->packet_id) : nullptr;
  if (outgoing == nullptr || outgoing->state != Outgoing::State::released) return;
  server_.sessions().keeper().done(*session_, *outgoing);
  session_->outbox->erase(*outgoing);
  pump();
}

}  // namespace tocsin::ingress
