// Goal: cost of framing and parsing a PUBLISH and of writing a PUBACK.
// Method: a buffer of 64 packets with 200 bytes of payload each, as one receive brings them.

#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "protocol/mqtt/packets.hpp"

namespace {

using namespace tocsin::mqtt;
constexpr std::size_t packets = 64;

std::string stream(std::uint8_t qos, Version version) {
  const std::string payload(200, 'x');
  PropertyBuilder<128> properties;
  if (version == Version::v5) {
    properties.add_text(PropertyId::content_type, "application/json");
    properties.add_user("site", "north");
  }
  std::string all;
  std::array<char, 512> packet{};
  for (std::size_t i = 1; i <= packets; ++i) {
    const Publish publish{.topic = "devices/pump-0017/telemetry",
                          .payload = payload,
                          .packet_id = static_cast<std::uint16_t>(qos > 0 ? i : 0),
                          .qos = qos,
                          .properties = properties.view()};
    all.append(packet.data(), write_publish(packet, publish, version));
  }
  return all;
}

void parse(benchmark::State& state, std::uint8_t qos, Version version) {
  const std::string bytes = stream(qos, version);
  for (auto _ : state) {
    std::span<const std::byte> rest{reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
    while (!rest.empty()) {
      const NextPacket next = next_packet(rest, 1 << 18);
      const auto publish = parse_publish(next.frame, version);
      benchmark::DoNotOptimize(publish);
      rest = rest.subspan(next.frame.size);
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * packets));
}

void mqtt_parse_qos_0(benchmark::State& state) { parse(state, 0, Version::v3_1_1); }
void mqtt_parse_qos_1(benchmark::State& state) { parse(state, 1, Version::v3_1_1); }
void mqtt_parse_qos_1_v5(benchmark::State& state) { parse(state, 1, Version::v5); }

void mqtt_write_puback(benchmark::State& state) {
  std::array<char, 4 * packets> out{};
  for (auto _ : state) {
    std::span<char> rest{out};
    for (std::size_t i = 1; i <= packets; ++i) {
      const Ack ack{.packet_id = static_cast<std::uint16_t>(i)};
      rest = rest.subspan(write_ack(rest, ack, Version::v5));
    }
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * packets));
}

BENCHMARK(mqtt_parse_qos_0);
BENCHMARK(mqtt_parse_qos_1);
BENCHMARK(mqtt_parse_qos_1_v5);
BENCHMARK(mqtt_write_puback);

}  // namespace
