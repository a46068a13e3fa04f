#include "cli/bench/subscriber.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/bench/mqtt_sender.hpp"
#include "cli/bench/payload.hpp"

namespace tocsin::cli::bench {

Subscriber::Subscriber(io::Io& io, Tally& tally, const Plan& plan, const MonoTime& measured_from)
    : Connection(io, tally, mqtt_packet_size_max), plan_(plan), measured_from_(measured_from) {}

void Subscriber::on_open() noexcept {
  wrote(mqtt::write_connect(room(), {.version = plan_.version}));
}

std::size_t Subscriber::on_bytes(std::string_view bytes) noexcept {
  arrival_ = io_.now();
  const std::size_t used =
      for_each_packet(bytes, [this](const mqtt::Frame& frame) { on_packet(frame); });
  if (used == SIZE_MAX) {
    fail("the subscriber's server does not speak MQTT");
    return bytes.size();
  }
  flush();
  return used;
}

void Subscriber::on_packet(const mqtt::Frame& frame) noexcept {
  switch (frame.type) {
    case mqtt::PacketType::publish:
      return on_publish(frame);
    case mqtt::PacketType::connack:
      return on_connack(frame);
    case mqtt::PacketType::suback:
      return on_suback(frame);
    default:
      return fail(fmt::format("the subscriber got {}", mqtt::to_string(frame.type)));
  }
}

void Subscriber::on_connack(const mqtt::Frame& frame) noexcept {
  const auto connack = mqtt::parse_connack(frame, plan_.version);
  if (!connack || connack->code != 0) return fail("the subscriber's connection was refused");
  const std::array filters{
      mqtt::Filter{.filter = plan_.subscribe, .qos = std::min(plan_.qos, std::uint8_t{1})}};
  wrote(mqtt::write_subscribe(room(), 1, filters, {}, plan_.version));
}

void Subscriber::on_suback(const mqtt::Frame& frame) noexcept {
  const auto suback = mqtt::parse_suback(frame, plan_.version);
  if (!suback || suback->codes.empty() || static_cast<unsigned char>(suback->codes[0]) >= 0x80) {
    return fail(fmt::format("the subscription to {} was refused", plan_.subscribe));
  }
  set_ready();
}

void Subscriber::on_publish(const mqtt::Frame& frame) noexcept {
  const auto publish = mqtt::parse_publish(frame, plan_.version);
  if (!publish) return fail("the subscriber got a malformed PUBLISH");
  for_each_sent(publish->payload, [this](MonoTime sent) {
    ++tally_.received;
    if (sent < measured_from_) return;
    // A clock that only this process reads cannot run backwards; a foreign payload might lie.
    const Duration took = std::max(arrival_ - sent, Duration{0});
    tally_.end_to_end.record(static_cast<std::uint64_t>(took.count()));
  });
  if (publish->qos == 0) return;
  const std::size_t size =
      mqtt::write_ack(room(), {.packet_id = publish->packet_id}, plan_.version);
  if (size == 0) return fail("the subscriber cannot keep up with its acknowledgements");
  wrote(size);
}

}  // namespace tocsin::cli::bench
