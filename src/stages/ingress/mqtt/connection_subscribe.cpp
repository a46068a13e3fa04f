// Subscriptions to notification topics, and the notifications that go out.

#include <algorithm>
#include <array>
#include <cassert>

#include <tocsin/limits.hpp>

#include "flow/hub.hpp"
#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;

// Entries of one SUBSCRIBE or UNSUBSCRIBE.
constexpr std::size_t entries_max = 256;

std::size_t count_entries(const mqtt::Subscribe& subscribe) noexcept {
  std::size_t count = 0;
  subscribe.for_each([&](const mqtt::Filter&) { ++count; });
  return count;
}

}  // namespace

void MqttConnection::handle_subscribe(const mqtt::Frame& frame) noexcept {
  const auto subscribe = mqtt::parse_subscribe(frame, version_);
  if (!subscribe) return fail(subscribe.error());
  if (subscribe->properties.has(mqtt::PropertyId::subscription_identifier)) {
    return end(MqttClose::unsupported, ReasonCode::subscription_identifiers_not_supported);
  }
  if (count_entries(*subscribe) > entries_max) {
    return end(MqttClose::unsupported, ReasonCode::quota_exceeded);
  }
  std::array<char, entries_max> codes{};
  std::size_t count = 0;
  subscribe->for_each([&](const mqtt::Filter& filter) {
    const ReasonCode code = grant(filter);
    const bool refused = code >= ReasonCode::unspecified_error;
    codes[count++] = static_cast<char>(refused && !v5() ? mqtt::suback_failure
                                                        : static_cast<std::uint8_t>(code));
  });
  put_codes(PacketType::suback, subscribe->packet_id, {codes.data(), count});
}

// Only what lies wholly below the notification prefix is granted: a filter such as "#" could select
// events, and what is published there never becomes one, so no subscription can close a loop.
ReasonCode MqttConnection::grant(const mqtt::Filter& filter) noexcept {
  if (filter.filter.starts_with("$share/")) return ReasonCode::shared_subscriptions_not_supported;
  if (!flow::topic_filter_valid(filter.filter)) return ReasonCode::topic_filter_invalid;
  if (!filter.filter.starts_with(flow::notification_topic_prefix)) {
    return ReasonCode::not_authorized;
  }
  if (filter.filter.size() > name_size_max) return ReasonCode::quota_exceeded;
  const std::uint8_t qos = std::min<std::uint8_t>(filter.qos, 1);
  const auto granted = static_cast<ReasonCode>(qos);
  if (!subscriber_) subscriber_ = std::make_unique<MqttSubscriber>(server_.budget());
  auto& subscriptions = subscriber_->subscriptions;
  const auto same = std::find_if(subscriptions.begin(), subscriptions.end(),
                                 [&](const auto& s) { return s.filter == filter.filter; });
  if (same != subscriptions.end()) {
    same->qos = qos;
    return granted;
  }
  if (subscriptions.size() >= server_.options().subscriptions_max) {
    return ReasonCode::quota_exceeded;
  }
  subscriptions.push_back({std::string(filter.filter), qos});
  if (subscriptions.size() == 1) server_.subscriber_added(slot_);
  return granted;
}

void MqttConnection::handle_unsubscribe(const mqtt::Frame& frame) noexcept {
  const auto unsubscribe = mqtt::parse_unsubscribe(frame, version_);
  if (!unsubscribe) return fail(unsubscribe.error());
  if (count_entries(*unsubscribe) > entries_max) {
    return end(MqttClose::unsupported, ReasonCode::quota_exceeded);
  }
  std::array<char, entries_max> codes{};
  std::size_t count = 0;
  unsubscribe->for_each([&](const mqtt::Filter& filter) {
    std::size_t removed = 0;
    if (subscriber_) {
      auto& subscriptions = subscriber_->subscriptions;
      removed =
          std::erase_if(subscriptions, [&](const auto& s) { return s.filter == filter.filter; });
      if (removed > 0 && subscriptions.empty()) server_.subscriber_removed(slot_);
    }
    codes[count++] =
        static_cast<char>(removed > 0 ? ReasonCode::success : ReasonCode::no_subscription_existed);
  });
  put_codes(PacketType::unsuback, unsubscribe->packet_id, {codes.data(), count});
}

void MqttConnection::put_codes(PacketType type, std::uint16_t packet_id,
                               std::string_view codes) noexcept {
  const std::span<char> out = room(8 + codes.size());
  if (out.empty()) return;
  const mqtt::SubAck ack{.packet_id = packet_id, .codes = codes};
  committed(type == PacketType::suback ? mqtt::write_suback(out, ack, version_)
                                       : mqtt::write_unsuback(out, ack, version_));
}

void MqttConnection::deliver(std::string_view topic, std::string_view payload,
                             std::uint8_t qos) noexcept {
  if (state_ != State::connected || !subscriber_) return;
  const auto matched = subscriber_->match(topic);
  if (!matched) return;
  mqtt::Publish publish{.topic = topic, .payload = payload, .qos = std::min(qos, *matched)};
  // Any identifier will do to measure.
  publish.packet_id = publish.qos;
  const std::size_t size = mqtt::publish_size(publish, version_);
  if (size > client_packet_size_max_) {
    return server_.stats().dropped[static_cast<std::size_t>(MqttDrop::too_large)].add();
  }
  MqttSubscriber& subscriber = *subscriber_;
  const std::size_t held = output_size() + subscriber.waiting.size();
  const bool over = held + size > server_.options().output_bytes_max;
  if (over) server_.stats().dropped[static_cast<std::size_t>(MqttDrop::slow)].add();
  if (over && publish.qos == 0) return;
  if (over) return end(MqttClose::slow_subscriber, ReasonCode::quota_exceeded);
  server_.stats().delivered.add();
  if (publish.qos == 0) {
    const std::span<char> out = room(size);
    if (!out.empty()) committed(mqtt::write_publish(out, publish, version_));
    return;
  }
  // All QoS 1 messages pass through the queue, so that they stay in order.
  const std::span<char> out = subscriber.waiting.tail(size);
  if (out.empty()) return abort(MqttClose::memory);
  subscriber.waiting.commit(mqtt::write_publish(out, publish, version_));
  send_waiting();
}

void MqttConnection::send_waiting() noexcept {
  if (!subscriber_) return;
  MqttSubscriber& subscriber = *subscriber_;
  const std::size_t window = std::min<std::size_t>(mqtt_window_max, client_receive_maximum_);
  while (!subscriber.waiting.empty() && subscriber.inflight.size() < window) {
    const mqtt::NextPacket next =
        mqtt::next_packet(subscriber.waiting.bytes(), mqtt::remaining_length_max + 5);
    assert(next.status == mqtt::NextPacket::Status::packet);
    const std::span<char> out = room(next.frame.size);
    if (out.empty()) return;
    const std::string_view packet = subscriber.waiting.view().substr(0, next.frame.size);
    std::copy(packet.begin(), packet.end(), out.begin());
    // Fixed header, topic with its length, then the identifier.
    mqtt::Reader body(next.frame.body);
    const std::size_t at = next.frame.size - next.frame.body.size() + 2 + body.sized().size();
    mqtt::Writer(out.subspan(at, 2)).u16(subscriber.take_packet_id());
    subscriber.waiting.consume(packet.size());
    committed(out.size());
  }
}

void MqttConnection::handle_puback(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, version_);
  if (!ack) return fail(ack.error());
  // An identifier that is not in flight is ignored, as brokers do: a late answer harms nobody.
  if (!subscriber_ || std::erase(subscriber_->inflight, ack->packet_id) == 0) return;
  send_waiting();
}

}  // namespace tocsin::ingress
