#include "tests/sim/engine_mqtt_peer.hpp"

#include <algorithm>
#include <chrono>

namespace tocsin::sim_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration period = milliseconds{100};
constexpr Duration silence_max = seconds{5};
constexpr std::size_t packet_size_max = 1 << 20;

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace

MqttPeer::MqttPeer(flow::Loop& loop, const io::Endpoint& server, Identity identity,
                   std::uint64_t seed)
    : loop_(loop),
      random_(seed),
      identity_(std::move(identity)),
      server_(server),
      link_(loop.io(), *this) {}

void MqttPeer::on_link_up() {
  send_packet([&](std::span<char> out) {
    return mqtt::write_connect(out, {.version = identity_.version,
                                     .clean_start = true,
                                     .keep_alive_s = 60,
                                     .client_id = identity_.name});
  });
}

void MqttPeer::on_link_data(std::string_view bytes) {
  heard_ = loop_.now();
  received_ += bytes;
  std::size_t at = 0;
  for (;;) {
    const auto next =
        mqtt::next_packet(bytes_of(std::string_view(received_).substr(at)), packet_size_max);
    if (next.status == mqtt::NextPacket::Status::error) return link_.close();
    if (next.status == mqtt::NextPacket::Status::need_more) break;
    at += next.frame.size;
    if (next.frame.type == mqtt::PacketType::disconnect) return link_.close();
    if (next.frame.type == mqtt::PacketType::connack) {
      const auto connack = mqtt::parse_connack(next.frame, identity_.version);
      if (!connack || connack->code != 0) return link_.close();
      session_ = true;
      on_session();
    } else if (session_) {
      on_packet(next.frame);
    }
  }
  received_.erase(0, at);
}

void MqttPeer::on_link_down() {
  received_.clear();
  session_ = false;
  on_session_lost();
}

void MqttPeer::on_timer(MonoTime now) noexcept {
  if (link_.idle()) {
    heard_ = now;
    link_.connect(server_);
  } else if (!session_ || waiting()) {
    if (now - heard_ > silence_max) link_.close();
  } else {
    heard_ = now;
  }
  if (session_) on_work();
  loop_.arm(*this, now + random_.between(period / 2, period * 2));
}

void MqttPeer::send_publish(std::string_view topic, std::string_view payload,
                            std::uint16_t packet_id, bool again) {
  const std::uint8_t qos = packet_id == 0 ? 0 : 1;
  send_packet([&](std::span<char> out) {
    return mqtt::write_publish(
        out, {.topic = topic, .payload = payload, .packet_id = packet_id, .qos = qos, .dup = again},
        identity_.version);
  });
}

// --- device

std::uint16_t MqttDevice::new_id() noexcept {
  if (++last_id_ == 0) ++last_id_;
  return last_id_;
}

void MqttDevice::send(Publish& publish, bool again) {
  publish.sent = true;
  truth_.sent.insert(publish.name);
  send_publish("devices/" + plan_.name + "/telemetry", payload_of(publish.name), publish.packet_id,
               again);
}

void MqttDevice::on_session() {
  for (Publish& publish : unacknowledged_) send(publish, true);
}

void MqttDevice::on_session_lost() {}

void MqttDevice::on_work() {
  // What was refused goes first, so that a window of one keeps the order.
  for (Publish& publish : unacknowledged_) {
    if (!publish.sent) send(publish, false);
  }
  for (std::uint64_t burst = 1 + random_.below(4); burst > 0 && next_ <= plan_.total; --burst) {
    if (plan_.qos == 0) {
      Publish publish{0, event_name(plan_.name, next_++), false};
      send(publish, false);
      continue;
    }
    if (unacknowledged_.size() >= plan_.window) return;
    unacknowledged_.push_back({new_id(), event_name(plan_.name, next_++), false});
    send(unacknowledged_.back(), false);
  }
}

void MqttDevice::on_packet(const mqtt::Frame& frame) {
  if (frame.type != mqtt::PacketType::puback) return;
  const auto ack = mqtt::parse_ack(frame, identity_.version);
  if (!ack) return;
  const auto publish =
      std::find_if(unacknowledged_.begin(), unacknowledged_.end(),
                   [&](const Publish& p) { return p.packet_id == ack->packet_id && p.sent; });
  if (publish == unacknowledged_.end()) return;
  if (static_cast<std::uint8_t>(ack->reason) >= 0x80) {
    ++truth_.refusals;
    publish->packet_id = new_id();
    publish->sent = false;
    return;
  }
  truth_.acknowledged.insert(publish->name);
  unacknowledged_.erase(publish);
}

// --- subscriber

void NoteSubscriber::on_session() {
  const mqtt::Filter filter{.filter = "notifications/#", .qos = 1};
  send_packet([&](std::span<char> out) {
    return mqtt::write_subscribe(out, 1, {&filter, 1}, {}, identity_.version);
  });
}

void NoteSubscriber::on_packet(const mqtt::Frame& frame) {
  if (frame.type == mqtt::PacketType::suback) {
    subscribed_ = true;
    return;
  }
  if (frame.type != mqtt::PacketType::publish) return;
  const auto publish = mqtt::parse_publish(frame, identity_.version);
  if (!publish) return;
  ++truth_.notes[std::string(publish->payload)];
  if (publish->qos == 0) return;
  send_packet([&](std::span<char> out) {
    return mqtt::write_ack(out, {.type = mqtt::PacketType::puback, .packet_id = publish->packet_id},
                           identity_.version);
  });
}

void NoteSubscriber::on_work() {
  send_packet([](std::span<char> out) { return mqtt::write_pingreq(out); });
}

}  // namespace tocsin::sim_test
