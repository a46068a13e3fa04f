#include "cli/bench/mqtt_sender.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace tocsin::cli::bench {
namespace {

constexpr auto version = mqtt::Version::v5;
constexpr std::size_t header_size_max = 16;

std::size_t packet_size_max_of(const Plan& plan) {
  std::size_t largest = 0;
  for (const Template& payload : plan.payloads) largest = std::max(largest, payload.text.size());
  return largest + plan.topic.size() + header_size_max;
}

}  // namespace

MqttSender::MqttSender(Session& session, std::uint32_t index, std::uint32_t number)
    : Sender(session, index, packet_size_max_of(session.plan)),
      topic_(number_topic(session.plan.topic, number)),
      next_payload_(number % session.plan.payloads.size()) {}

void MqttSender::on_open() noexcept { wrote(mqtt::write_connect(room(), {.version = version})); }

std::size_t MqttSender::on_bytes(std::string_view bytes) noexcept {
  arrival_ = io_.now();
  const std::size_t used =
      for_each_packet(bytes, [this](const mqtt::Frame& frame) { on_packet(frame); });
  if (used == SIZE_MAX) {
    fail("the server does not speak MQTT");
    return bytes.size();
  }
  hasten();
  return used;
}

void MqttSender::on_packet(const mqtt::Frame& frame) noexcept {
  switch (frame.type) {
    case mqtt::PacketType::puback:
      return on_puback(frame);
    case mqtt::PacketType::connack:
      return on_connack(frame);
    case mqtt::PacketType::pingresp:
      return on_pong();
    case mqtt::PacketType::disconnect: {
      const auto bye = mqtt::parse_disconnect(frame, version);
      return fail(fmt::format("the server disconnected (0x{:02X})",
                              bye ? static_cast<unsigned>(bye->reason) : 0U));
    }
    default:
      return fail(fmt::format("unexpected {} from the server", mqtt::to_string(frame.type)));
  }
}

void MqttSender::on_connack(const mqtt::Frame& frame) noexcept {
  const auto connack = mqtt::parse_connack(frame, version);
  if (!connack || connack->code != 0) {
    return fail(fmt::format("the server refused a connection (0x{:02X})",
                            connack ? static_cast<unsigned>(connack->code) : 0U));
  }
  const std::uint32_t window =
      std::min(session_.plan.window,
               connack->properties.number(mqtt::PropertyId::receive_maximum, UINT16_MAX));
  due_.resize(window + 1);
  for (std::uint32_t id = window; id > 0; --id) {
    free_ids_.push_back(static_cast<std::uint16_t>(id));
  }
  set_ready();
}

void MqttSender::on_puback(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, version);
  if (!ack || ack->packet_id >= due_.size() || due_[ack->packet_id] == MonoTime{}) {
    return fail("the server acknowledged what was not sent");
  }
  const MonoTime due = std::exchange(due_[ack->packet_id], MonoTime{});
  free_ids_.push_back(ack->packet_id);
  if (static_cast<unsigned>(ack->reason) >= 0x80) {
    ++tally_.refused;
    session_.last_answer = arrival_;
    return;
  }
  acknowledged(due, arrival_, 1);
}

bool MqttSender::window_open() const noexcept {
  return session_.plan.qos == 0 || !free_ids_.empty();
}

bool MqttSender::write_one(MonoTime intended) noexcept {
  const Template& payload = session_.plan.payloads[next_payload_];
  const bool with_id = session_.plan.qos > 0;
  const std::span<char> out = room();
  const std::size_t size =
      mqtt::write_publish(out,
                          {.topic = topic_,
                           .payload = payload.text,
                           .packet_id = with_id ? free_ids_.back() : std::uint16_t{0},
                           .qos = session_.plan.qos},
                          version);
  if (size == 0) return false;
  const std::size_t payload_size = payload.text.size();
  fill(out.subspan(size - payload_size, payload_size), payload, session_.sequence++, intended);
  wrote(size);
  if (with_id) {
    due_[free_ids_.back()] = intended;
    free_ids_.pop_back();
  }
  if (++next_payload_ == session_.plan.payloads.size()) next_payload_ = 0;
  ++sent_;
  ++tally_.sent;
  return true;
}

void MqttSender::finish() noexcept {
  if (session_.plan.qos > 0 || pinged_ || !ready()) return;
  const std::size_t size = mqtt::write_pingreq(room());
  if (size == 0) return;  // Asked again when there is room.
  pinged_ = true;
  wrote(size);
  flush();
}

void MqttSender::on_pong() noexcept {
  ponged_ = true;
  tally_.acknowledged += sent_;
  session_.last_answer = arrival_;
}

bool MqttSender::settled() const noexcept {
  if (failed()) return true;
  return session_.plan.qos == 0 ? ponged_ : free_ids_.size() + 1 == due_.size();
}

}  // namespace tocsin::cli::bench
