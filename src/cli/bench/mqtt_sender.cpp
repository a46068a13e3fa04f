#include "cli/bench/mqtt_sender.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace tocsin::cli::bench {
namespace {

constexpr std::size_t header_size_max = 16;
// Often enough to show a latency, seldom enough to cost nothing; and rarer still where a subscriber
// shows one, whose events pings would delay.
constexpr Duration ping_interval = std::chrono::milliseconds(5);
constexpr Duration ping_interval_subscribed = std::chrono::milliseconds(20);

std::size_t packet_size_max_of(const Plan& plan) {
  std::size_t largest = 0;
  for (const Template& payload : plan.payloads) largest = std::max(largest, payload.text.size());
  return largest + plan.topic.size() + header_size_max;
}

}  // namespace

MqttSender::MqttSender(Session& session, std::uint32_t index, std::uint32_t number)
    : Sender(session, index, packet_size_max_of(session.plan)),
      topic_(number_topic(session.plan.topic, number)),
      next_payload_(number % session.plan.payloads.size()) {
  const Plan& plan = session.plan;
  std::vector<char> packet(packet_size_max_of(plan) + topic_.size());
  const std::size_t behind_id = plan.version == mqtt::Version::v5 ? 1 : 0;  // No properties.
  for (const Template& payload : plan.payloads) {
    const std::size_t size =
        mqtt::write_publish(packet,
                            {.topic = topic_,
                             .payload = payload.text,
                             .packet_id = plan.qos > 0 ? std::uint16_t{1} : std::uint16_t{0},
                             .qos = plan.qos},
                            plan.version);
    Head& head = heads_.emplace_back();
    head.bytes.assign(packet.data(), size - payload.text.size());
    head.id_offset = head.bytes.size() - behind_id - 2;
  }
}

void MqttSender::on_open() noexcept {
  wrote(mqtt::write_connect(room(), {.version = session_.plan.version}));
}

std::size_t MqttSender::on_bytes(std::string_view bytes) noexcept {
  arrival_ = io_.now();
  std::size_t used = 0;
  for (;;) {
    used += take_plain_acks(bytes.substr(used));
    const auto rest = std::as_bytes(std::span(bytes.substr(used)));
    const auto found = mqtt::next_packet(rest, mqtt_packet_size_max);
    if (found.status == mqtt::NextPacket::Status::need_more) break;
    if (found.status == mqtt::NextPacket::Status::error) fail("the server does not speak MQTT");
    if (failed()) return bytes.size();
    used += found.frame.size;
    on_packet(found.frame);
  }
  report_run();
  hasten();
  return used;
}

/// Most of what comes: PUBACKs of success, four bytes each.
std::size_t MqttSender::take_plain_acks(std::string_view bytes) noexcept {
  if (session_.plan.qos != 1) return 0;
  std::size_t used = 0;
  while (bytes.size() - used >= 4 && bytes[used] == '\x40' && bytes[used + 1] == '\x02' &&
         !failed()) {
    const auto high = static_cast<unsigned char>(bytes[used + 2]);
    const auto low = static_cast<unsigned char>(bytes[used + 3]);
    take_ack(static_cast<std::uint16_t>(high << 8U | low));
    used += 4;
  }
  return used;
}

void MqttSender::take_ack(std::uint16_t packet_id) noexcept {
  if (packet_id >= due_.size() || due_[packet_id] == MonoTime{}) {
    return fail("the server acknowledged what was not sent");
  }
  const MonoTime due = std::exchange(due_[packet_id], MonoTime{});
  free_ids_.push_back(packet_id);
  if (due != run_due_) report_run();
  run_due_ = due;
  ++run_;
}

void MqttSender::report_run() noexcept {
  if (run_ > 0) acknowledged(run_due_, arrival_, run_, run_);
  run_ = 0;
}

void MqttSender::on_packet(const mqtt::Frame& frame) noexcept {
  switch (frame.type) {
    case mqtt::PacketType::puback:
    case mqtt::PacketType::pubrec:
    case mqtt::PacketType::pubcomp:
      return on_ack(frame);
    case mqtt::PacketType::connack:
      return on_connack(frame);
    case mqtt::PacketType::pingresp:
      return on_pong();
    case mqtt::PacketType::disconnect: {
      const auto bye = mqtt::parse_disconnect(frame, session_.plan.version);
      return fail(fmt::format("the server disconnected (0x{:02X})",
                              bye ? static_cast<unsigned>(bye->reason) : 0U));
    }
    default:
      return fail(fmt::format("unexpected {} from the server", mqtt::to_string(frame.type)));
  }
}

void MqttSender::on_connack(const mqtt::Frame& frame) noexcept {
  const auto connack = mqtt::parse_connack(frame, session_.plan.version);
  if (!connack || connack->code != 0) {
    return fail(fmt::format("the server refused a connection (0x{:02X})",
                            connack ? static_cast<unsigned>(connack->code) : 0U));
  }
  set_ready();
  if (session_.plan.qos == 0) return;
  const std::uint32_t window =
      std::min(session_.plan.window,
               connack->properties.number(mqtt::PropertyId::receive_maximum, UINT16_MAX));
  due_.resize(window + 1);
  free_ids_.reserve(window);
  releases_.reserve(window);
  for (std::uint32_t id = window; id > 0; --id) {
    free_ids_.push_back(static_cast<std::uint16_t>(id));
  }
}

void MqttSender::on_ack(const mqtt::Frame& frame) noexcept {
  const auto ack = mqtt::parse_ack(frame, session_.plan.version);
  if (!ack) return fail("the server sent a malformed acknowledgement");
  const std::uint16_t id = ack->packet_id;
  const bool received = ack->type == mqtt::PacketType::pubrec;
  const bool wanted = (ack->type == mqtt::PacketType::puback) == (session_.plan.qos == 1);
  if (!wanted || id >= due_.size() || due_[id] == MonoTime{}) {
    return fail("the server acknowledged what was not sent");
  }
  if (static_cast<unsigned>(ack->reason) >= 0x80) {
    due_[id] = MonoTime{};
    free_ids_.push_back(id);
    ++tally_.refused;
    session_.last_answer = arrival_;
  } else if (received) {
    if (releases_.size() == releases_.capacity()) return fail("the server repeats itself");
    releases_.push_back(id);
  } else {
    take_ack(id);
  }
}

std::uint64_t MqttSender::write_some(std::uint64_t sends_max, MonoTime intended) noexcept {
  release();
  const bool limited = session_.plan.qos > 0;
  std::uint64_t written = 0;
  while (written < sends_max && !(limited && free_ids_.empty()) && write_publish(intended)) {
    ++written;
  }
  if (written > 0) last_due_ = intended;
  sent_ += written;
  tally_.sent += written;
  return written;
}

bool MqttSender::write_publish(MonoTime intended) noexcept {
  const Template& payload = session_.plan.payloads[next_payload_];
  const Head& head = heads_[next_payload_];
  const std::span<char> out = room();
  const std::size_t size = head.bytes.size() + payload.text.size();
  if (size > out.size()) return false;
  std::memcpy(out.data(), head.bytes.data(), head.bytes.size());
  char* const body = out.data() + head.bytes.size();
  std::ranges::copy(payload.text, body);
  session_.stamps.fill(std::span(body, payload.text.size()), payload, intended);
  if (session_.plan.qos > 0) {
    const std::uint16_t id = free_ids_.back();
    free_ids_.pop_back();
    due_[id] = intended;
    out[head.id_offset] = static_cast<char>(id >> 8U);
    out[head.id_offset + 1] = static_cast<char>(id & 0xFFU);
  }
  wrote(size);
  if (++next_payload_ == session_.plan.payloads.size()) next_payload_ = 0;
  return true;
}

void MqttSender::release() noexcept {
  while (!releases_.empty()) {
    const std::size_t size =
        mqtt::write_ack(room(), {.type = mqtt::PacketType::pubrel, .packet_id = releases_.back()},
                        session_.plan.version);
    if (size == 0) return;  // Again when there is room.
    wrote(size);
    releases_.pop_back();
  }
}

void MqttSender::on_pumped(MonoTime now) noexcept {
  release();
  if (session_.plan.qos > 0) return;
  const Duration interval =
      session_.plan.subscribe.empty() ? ping_interval : ping_interval_subscribed;
  if (now - ping_sent_ >= interval) ping(now);
}

void MqttSender::ping(MonoTime now) noexcept {
  if (pinged_ > 0 || sent_ == read_ || !ready()) return;
  const std::size_t size = mqtt::write_pingreq(room());
  if (size == 0) return;  // Asked again when there is room.
  wrote(size);
  pinged_ = sent_;
  ping_due_ = last_due_;
  ping_sent_ = now;
}

void MqttSender::finish() noexcept {
  if (session_.plan.qos > 0) return;
  ping(io_.now());
  flush();
}

void MqttSender::on_pong() noexcept {
  if (pinged_ == 0) return fail("the server answered a ping that was not sent");
  acknowledged(ping_due_, arrival_, pinged_ - read_, 1);
  read_ = std::exchange(pinged_, 0);
}

bool MqttSender::settled() const noexcept {
  if (failed()) return true;
  return session_.plan.qos == 0 ? read_ == sent_ : free_ids_.size() + 1 == due_.size();
}

}  // namespace tocsin::cli::bench
