#include <gtest/gtest.h>

#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

// Goal: QoS 2 from a client: one event, whatever it repeats; PUBREC only after the commit.
TEST_F(MqttServerTest, IncomingQos2) {
  start();
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    const std::uint32_t client = join(version);
    const std::string publish =
        packet_of(version, {.topic = "t", .payload = "x", .packet_id = 7, .qos = 2});
    io_.arrive(client, publish);
    io_.arrive(client, publish);
    turn();
    EXPECT_EQ(take(client), "");
    intake_.ack_all();
    turn();
    EXPECT_EQ(take(client), ack_packet(PacketType::pubrec, 7));
    io_.arrive(client, publish);
    turn();
    EXPECT_EQ(take(client), ack_packet(PacketType::pubrec, 7));
    ASSERT_EQ(intake_.events.size(), 1U);
    EXPECT_EQ(intake_.events[0].qos, 2);
    io_.arrive(client, ack_packet(PacketType::pubrel, 7));
    turn();
    EXPECT_EQ(take(client), ack_packet(PacketType::pubcomp, 7));
    io_.arrive(client, ack_packet(PacketType::pubrel, 7));
    turn();
    EXPECT_EQ(take(client), version == Version::v5 ? "\x70\x03\x00\x07\x92"s
                                                   : ack_packet(PacketType::pubcomp, 7));
    io_.arrive(client, publish);
    EXPECT_EQ(intake_.events.size(), 2U) << "the identifier is free again";
    intake_.ack_all();
    intake_.events.clear();
    intake_.acked = 0;
    io_.arrive(client, "\xe0\x00"s);
    turn();
  }
}

// Goal: what was published with QoS 2 is stored once, even when the connection breaks before the
// commit and the client sends it again on the next one.
TEST_F(MqttServerTest, IncomingQos2AcrossConnections) {
  start();
  auto [client, present] = join_session(Version::v5, "dev");
  const std::string publish =
      packet_of(Version::v5, {.topic = "t", .payload = "x", .packet_id = 7, .qos = 2});
  io_.arrive(client, publish);
  peer(client).handler->on_end(ECONNRESET);
  turn();
  std::tie(client, present) = join_session(Version::v5, "dev");
  EXPECT_TRUE(present);
  io_.arrive(client, publish);
  turn();
  EXPECT_EQ(take(client), "");
  intake_.ack_all();
  turn();
  EXPECT_EQ(intake_.events.size(), 1U);
  EXPECT_EQ(take(client), ack_packet(PacketType::pubrec, 7));
}

// Goal: identifiers that are never released are bounded (FAULTS X18): 65,535 QoS 2 publishes
// without a PUBREL.
TEST_F(MqttServerTest, Qos2IdentifiersAreBounded) {
  options_.receive_maximum = 100;
  start();
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    const std::uint32_t client = join(version);
    for (std::uint32_t id = 1; id <= UINT16_MAX && !peer(client).closed; ++id) {
      io_.arrive(client, packet_of(version, {.topic = "t",
                                             .payload = "x",
                                             .packet_id = static_cast<std::uint16_t>(id),
                                             .qos = 2}));
      intake_.ack_all();
      turn(1);
    }
    turn();
    EXPECT_TRUE(peer(client).closed);
    EXPECT_EQ(intake_.events.size(), 100U);
    intake_.events.clear();
    intake_.acked = 0;
  }
  EXPECT_EQ(closed(MqttClose::receive_maximum), 2U);
}

// Goal: a session keeps subscriptions and messages while its client is away, and only as long as it
// was asked to; a clean start ends it.
TEST_F(MqttServerTest, SessionOutlivesConnection) {
  start();
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    auto [client, present] = join_session(version, "dev");
    EXPECT_FALSE(present);
    subscribe(client, version, {.filter = "t", .qos = 1});
    io_.arrive(client, "\xe0\x00"s);
    turn();
    route({.topic = "t", .payload = "1", .qos = 1});
    route({.topic = "t", .payload = "dropped", .qos = 0});
    std::tie(client, present) = join_session(version, "dev");
    EXPECT_TRUE(present);
    EXPECT_EQ(take(client), publish_packet(version, "t", "1", 1));
    // Unacknowledged, so it comes again, marked.
    peer(client).handler->on_end(ECONNRESET);
    turn();
    std::tie(client, present) = join_session(version, "dev");
    EXPECT_EQ(
        take(client),
        packet_of(version, {.topic = "t", .payload = "1", .packet_id = 1, .qos = 1, .dup = true}));
    io_.arrive(client, ack_packet(PacketType::puback, 1));
    turn();
    std::tie(client, present) = join_session(version, "dev");
    EXPECT_EQ(take(client), "");
    std::tie(client, present) = join_session(version, "dev", 100, true);
    EXPECT_FALSE(present);
    EXPECT_FALSE(server_->has_subscribers());
    io_.arrive(client, "\xe0\x00"s);
    turn();
  }
  auto [client, present] = join_session(Version::v5, "brief", 5);
  io_.arrive(client, "\xe0\x00"s);
  turn();
  pass(std::chrono::seconds(4));
  std::tie(client, present) = join_session(Version::v5, "brief", 5);
  EXPECT_TRUE(present);
  // DISCONNECT may shorten it.
  io_.arrive(client, "\xe0\x07\x00\x05\x11\x00\x00\x00\x01"s);
  turn();
  pass(std::chrono::seconds(2));
  std::tie(client, present) = join_session(Version::v5, "brief", 5);
  EXPECT_FALSE(present);
}

// Goal: QoS 2 to a client: no half of the handshake is lost or repeated wrongly over a reconnect.
TEST_F(MqttServerTest, OutgoingQos2AcrossConnections) {
  start();
  auto [client, present] = join_session(Version::v5, "dev");
  subscribe(client, Version::v5, {.filter = "#", .qos = 2});
  route({.topic = "a", .payload = "1", .qos = 2});
  route({.topic = "b", .payload = "2", .qos = 2});
  take(client);
  io_.arrive(client, ack_packet(PacketType::pubrec, 1));
  turn();
  EXPECT_EQ(take(client), ack_packet(PacketType::pubrel, 1));
  peer(client).handler->on_end(ECONNRESET);
  turn();
  std::tie(client, present) = join_session(Version::v5, "dev");
  EXPECT_EQ(take(client),
            ack_packet(PacketType::pubrel, 1) +
                packet_of(Version::v5,
                          {.topic = "b", .payload = "2", .packet_id = 2, .qos = 2, .dup = true}));
  io_.arrive(client, ack_packet(PacketType::pubcomp, 1));
  io_.arrive(client, "\x50\x03\x00\x02\x97"s);
  turn();
  EXPECT_EQ(take(client), "") << "a PUBREC with an error ends it";
  io_.arrive(client, ack_packet(PacketType::pubrec, 9));
  turn();
  EXPECT_EQ(take(client), "\x62\x03\x00\x09\x92"s);
  route({.topic = "c", .payload = "3", .qos = 2});
  EXPECT_EQ(take(client).size(), 9U);
}

// Goal: the will comes after its delay, or with the end of the session, and never when the client
// is back in time (section 3.1.2.5).
TEST_F(MqttServerTest, DelayedWills) {
  start();
  mqtt::PropertyBuilder<16> delay;
  delay.add_u32(PropertyId::will_delay_interval, 10);
  delay.add_u32(PropertyId::message_expiry_interval, 60);
  const mqtt::Will will{
      .topic = "gone", .payload = "{}", .qos = 1, .retain = true, .properties = delay.view()};
  const auto lose = [&](std::uint32_t expiry_s) {
    mqtt::PropertyBuilder<8> wishes;
    wishes.add_u32(PropertyId::session_expiry_interval, expiry_s);
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_packet(Version::v5, "dev", 0, false, will, wishes.view()));
    turn();
    peer(client).handler->on_end(ECONNRESET);
    turn();
  };
  lose(100);
  pass(std::chrono::seconds(9));
  lose(100);
  pass(std::chrono::seconds(9));
  EXPECT_TRUE(intake_.events.empty()) << "it was back in time";
  pass(std::chrono::seconds(2));
  ASSERT_EQ(intake_.events.size(), 1U);
  EXPECT_EQ(intake_.events[0].topic, "gone");
  EXPECT_EQ(intake_.events[0].qos, 1);
  EXPECT_TRUE(intake_.events[0].retain);
  EXPECT_EQ(intake_.events[0].properties, "\x02\x00\x00\x00\x3c"s) << "without its delay";
  lose(3);
  pass(std::chrono::seconds(4));
  EXPECT_EQ(intake_.events.size(), 2U) << "the session ended first";
  lose(0);
  EXPECT_EQ(intake_.events.size(), 3U);
  lose(100);
  join_session(Version::v5, "dev", 100, true);
  EXPECT_EQ(intake_.events.size(), 4U) << "a clean start ends the session";
}

// Goal: queues that nobody reads leave a part of the memory to those who are there, and all of
// their own to wills; a will without memory is refused in the words of the version.
TEST_F(MqttServerTest, MemoryOfQueuesAndWills) {
  options_.session_bytes_max = 1 << 20;
  start();
  auto [away, present] = join_session(Version::v5, "away");
  subscribe(away, Version::v5, {.filter = "away", .qos = 1});
  io_.arrive(away, "\xe0\x00"s);
  auto [there, again] = join_session(Version::v5, "there");
  subscribe(there, Version::v5, {.filter = "there", .qos = 1});
  const std::string payload(10'000, 'x');
  const auto& dropped = server_->stats().dropped[static_cast<std::size_t>(MqttDrop::memory)];
  for (int i = 0; i < 100 && dropped.get() == 0; ++i) {
    route({.topic = "away", .payload = payload, .qos = 1});
  }
  EXPECT_EQ(dropped.get(), 1U);
  EXPECT_LT(shared_.kept.used(), shared_.kept.max() * 4 / 5);
  route({.topic = "there", .payload = payload, .qos = 1});
  EXPECT_EQ(take(there), publish_packet(Version::v5, "there", payload, 1));
  EXPECT_EQ(dropped.get(), 1U);

  const auto connect = [&](Version version, std::string_view id) {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client,
               connect_packet(version, id, 0, false, mqtt::Will{.topic = "w", .payload = "gone"}));
    turn();
    return take(client);
  };
  EXPECT_EQ(connect(Version::v5, "five").substr(3, 1), "\0"s);
  const std::size_t left = shared_.wills.max() - shared_.wills.used();
  ASSERT_TRUE(shared_.wills.charge(left));
  const std::size_t sessions = shared_.directory.size();
  EXPECT_EQ(connect(Version::v5, "late"), "\x20\x03\x00\x97\x00"s);
  EXPECT_EQ(connect(Version::v3_1_1, "late"), "\x20\x02\x00\x03"s);
  EXPECT_EQ(shared_.directory.size(), sessions) << "nothing remains of them";
  shared_.wills.refund(left);
}

// Goal: DISCONNECT 0x04 asks for the will; a session that never was to be kept stays so.
TEST_F(MqttServerTest, DisconnectReasons) {
  start();
  const std::uint32_t client = *io_.accept();
  io_.arrive(client, connect_packet(Version::v5, "a", 0, true, mqtt::Will{.topic = "w"}));
  io_.arrive(client, "\xe0\x01\x04"s);
  turn();
  EXPECT_EQ(intake_.events.size(), 1U);
  const std::uint32_t other = join(Version::v5, "b");
  io_.arrive(other, "\xe0\x07\x00\x05\x11\x00\x00\x00\x01"s);
  turn();
  EXPECT_EQ(take(other).substr(0, 3).substr(2), "\x82"s);
}

// Goal: topic aliases of a client (section 3.3.2.3.4).
TEST_F(MqttServerTest, IncomingAliases) {
  start();
  const auto with_alias = [](std::uint16_t alias, std::string_view topic) {
    mqtt::PropertyBuilder<8> properties;
    properties.add_u16(PropertyId::topic_alias, alias);
    return publish_packet(Version::v5, topic, "x", 0, properties.view());
  };
  const std::uint32_t client = join(Version::v5);
  io_.arrive(client, with_alias(16, "long/topic") + with_alias(16, "") + with_alias(16, "new") +
                         with_alias(16, ""));
  ASSERT_EQ(intake_.events.size(), 4U);
  EXPECT_EQ(intake_.events[1].topic, "long/topic");
  EXPECT_EQ(intake_.events[3].topic, "new");
  EXPECT_EQ(intake_.events[3].properties, "");
  io_.arrive(client, with_alias(3, ""));
  turn();
  EXPECT_EQ(take(client).substr(2, 1), "\x82");
  for (const std::uint16_t alias : {std::uint16_t{0}, std::uint16_t{17}}) {
    const std::uint32_t bad = join(Version::v5);
    io_.arrive(bad, with_alias(alias, "t"));
    turn();
    EXPECT_EQ(take(bad).substr(2, 1), "\x94");
  }
  EXPECT_EQ(intake_.events.size(), 4U);
}

}  // namespace
}  // namespace tocsin::ingress
