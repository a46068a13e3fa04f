#pragma once
// The server in its scripted world, and the packets that its clients send.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "stages/ingress/mqtt/connection.hpp"
#include "stages/ingress/mqtt/fake_world_test.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {

using mqtt::PropertyId;
using mqtt::ReasonCode;
using mqtt::Version;
using namespace std::string_literals;

template <class Write>
std::string written(Write&& write) {
  std::string out(400'000, '\0');
  out.resize(write(std::span<char>(out)));
  return out;
}

inline std::string connect_packet(Version version, std::string_view id,
                                  std::uint16_t keep_alive_s = 0, bool clean = true,
                                  std::optional<mqtt::Will> will = {},
                                  mqtt::Properties properties = {}) {
  return written([&](auto out) {
    return mqtt::write_connect(out, {.version = version,
                                     .clean_start = clean,
                                     .keep_alive_s = keep_alive_s,
                                     .client_id = id,
                                     .will = will,
                                     .properties = properties});
  });
}

inline std::string publish_packet(Version version, std::string_view topic, std::string_view payload,
                                  std::uint16_t packet_id = 0, mqtt::Properties properties = {}) {
  const auto qos = static_cast<std::uint8_t>(packet_id == 0 ? 0 : 1);
  return written([&](auto out) {
    return mqtt::write_publish(out,
                               {.topic = topic,
                                .payload = payload,
                                .packet_id = packet_id,
                                .qos = qos,
                                .properties = properties},
                               version);
  });
}

inline std::string subscribe_packet(Version version, std::string_view filter, std::uint8_t qos) {
  const std::array filters{mqtt::Filter{.filter = filter, .qos = qos}};
  return written([&](auto out) { return mqtt::write_subscribe(out, 9, filters, {}, version); });
}

class MqttServerTest : public ::testing::Test {
 protected:
  MqttOptions options_;
  FakeIo io_;
  flow::Loop loop_{io_, "test"};
  FakeIntake intake_;
  SessionDirectory directory_;
  MqttHub hub_{1 << 20, 16};
  std::unique_ptr<MqttServer> server_;

  MqttServer& start() {
    server_ =
        std::make_unique<MqttServer>(loop_, intake_, options_, make_null_log(), directory_, &hub_);
    EXPECT_TRUE(server_->listen({}, false).has_value());
    return *server_;
  }
  void TearDown() override {
    server_->close_now();
    turn();
    EXPECT_TRUE(server_->closed());
    EXPECT_EQ(server_->budget().used(), 0U) << "buffers were not given back";
    EXPECT_EQ(directory_.size(), 0U);
    EXPECT_EQ(hub_.bytes_used(), 0U);
  }
  void turn(int n = 3) {
    for (int i = 0; i < n; ++i) loop_.turn(MonoTime::min());
  }
  void pass(Duration time) {
    io_.time += time;
    turn();
  }
  FakeIo::Stream& peer(std::uint32_t client) { return *io_.streams[client]; }
  std::string take(std::uint32_t client) { return std::exchange(peer(client).sent, {}); }
  std::uint64_t closed(MqttClose reason) {
    return server_->stats().closed[static_cast<std::size_t>(reason)].get();
  }
  // Connects; forgets the CONNACK.
  std::uint32_t join(Version version, std::string_view id = "dev",
                     mqtt::Properties properties = {}) {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_packet(version, id, 0, true, {}, properties));
    turn();
    EXPECT_EQ(take(client).substr(0, 1), "\x20");
    return client;
  }
};

}  // namespace tocsin::ingress
