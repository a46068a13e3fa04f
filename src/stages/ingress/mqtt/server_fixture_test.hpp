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

inline std::string packet_of(Version version, const mqtt::Publish& publish) {
  return written([&](auto out) { return mqtt::write_publish(out, publish, version); });
}

inline std::string publish_packet(Version version, std::string_view topic, std::string_view payload,
                                  std::uint16_t packet_id = 0, mqtt::Properties properties = {}) {
  const auto qos = static_cast<std::uint8_t>(packet_id == 0 ? 0 : 1);
  return packet_of(version, {.topic = topic,
                             .payload = payload,
                             .packet_id = packet_id,
                             .qos = qos,
                             .properties = properties});
}

inline std::string subscribe_packet(Version version, const mqtt::Filter& filter,
                                    mqtt::Properties properties = {}) {
  const std::array filters{filter};
  return written(
      [&](auto out) { return mqtt::write_subscribe(out, 9, filters, properties, version); });
}

inline std::string subscribe_packet(Version version, std::string_view filter, std::uint8_t qos) {
  return subscribe_packet(version, {.filter = filter, .qos = qos});
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP without a reason.
inline std::string ack_packet(mqtt::PacketType type, std::uint16_t packet_id) {
  return written([&](auto out) {
    return mqtt::write_ack(out, {.type = type, .packet_id = packet_id}, Version::v3_1_1);
  });
}

class MqttServerTest : public ::testing::Test {
 protected:
  MqttOptions options_;
  FakeIo io_;
  flow::Loop loop_{io_, "test"};
  FakeIntake intake_;
  BrokerShared shared_{1 << 20};
  MqttHub hub_{1 << 20, 16};
  std::unique_ptr<MqttServer> server_;

  MqttServer& start() {
    server_ =
        std::make_unique<MqttServer>(loop_, intake_, options_, make_null_log(), shared_, &hub_);
    EXPECT_TRUE(server_->listen({}, false).has_value());
    return *server_;
  }
  void TearDown() override {
    server_->close_now();
    turn();
    EXPECT_TRUE(server_->closed());
    EXPECT_EQ(server_->budget().used(), 0U) << "buffers were not given back";
    server_.reset();
    EXPECT_EQ(shared_.directory.size(), 0U);
    EXPECT_EQ(shared_.kept.used(), 0U) << "messages were not given back";
    EXPECT_EQ(shared_.wills.used(), 0U) << "wills were not given back";
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
  // What the journal would do with a publish, without the journal.
  void route(RoutedMessage message) {
    server_->router().route(message);
    turn();
  }
  void subscribe(std::uint32_t client, Version version, const mqtt::Filter& filter,
                 mqtt::Properties properties = {}) {
    io_.arrive(client, subscribe_packet(version, filter, properties));
    turn();
    EXPECT_EQ(take(client).substr(0, 1), "\x90");
  }
  // Connects with a session that outlives its connection; returns the client and whether there was
  // one.
  std::pair<std::uint32_t, bool> join_session(Version version, std::string_view id,
                                              std::uint32_t expiry_s = 100, bool clean = false) {
    const std::uint32_t client = *io_.accept();
    mqtt::PropertyBuilder<8> wishes;
    if (version == Version::v5) wishes.add_u32(PropertyId::session_expiry_interval, expiry_s);
    io_.arrive(client, connect_packet(version, id, 0, clean, {}, wishes.view()));
    turn();
    const std::string answer = take_connack(client);
    return {client, answer.size() > 2 && answer[2] == 1};
  }
  // CONNACK alone: what follows it stays.
  std::string take_connack(std::uint32_t client) {
    std::string& sent = peer(client).sent;
    EXPECT_EQ(sent.substr(0, 1), "\x20");
    if (sent.size() < 2) return {};
    const std::size_t size = 2 + static_cast<std::size_t>(sent[1]);
    std::string answer = sent.substr(0, size);
    sent.erase(0, size);
    return answer;
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
