#include <gtest/gtest.h>

#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"
#include "tests/support/memory_session_store.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

// Goal: subscriptions, messages and both halves of QoS 2 survive the process, with their marks.
TEST_F(MqttServerTest, SessionsOutliveTheProcess) {
  testing::MemorySessionStore store;
  start();
  server_->set_session_store(&store);
  auto [client, present] = join_session(Version::v5, "dev", 1000);
  mqtt::PropertyBuilder<8> identifier;
  identifier.add_varint(PropertyId::subscription_identifier, 5);
  subscribe(client, Version::v5, {.filter = "#", .qos = 2}, identifier.view());
  route({.topic = "a", .payload = "1", .qos = 2, .sequence = 11});
  route({.topic = "b", .payload = "2", .qos = 2, .sequence = 12});
  io_.arrive(client, ack_packet(PacketType::pubrec, 1));
  io_.arrive(client,
             packet_of(Version::v5, {.topic = "in", .payload = "x", .packet_id = 9, .qos = 2}));
  intake_.ack_all();
  turn();
  join_session(Version::v5, "gone", 0);
  peer(client).handler->on_end(ECONNRESET);
  turn();
  route({.topic = "c", .payload = "3", .qos = 1, .sequence = 13});
  ASSERT_EQ(store.contents().sessions.size(), 1U);
  EXPECT_EQ(store.contents().sessions.begin()->second.messages.size(), 3U);

  // Another process.
  server_.reset();
  io_.streams.clear();
  shared_.servers.clear();
  start();
  server_->set_session_store(&store);
  ASSERT_TRUE(load_sessions(shared_, store).has_value());
  EXPECT_TRUE(server_->has_subscribers());
  RoutedMessage again{.topic = "c", .payload = "3", .qos = 1, .old = true, .sequence = 13};
  route(again);
  again.sequence = 14;
  again.payload = "4";
  route(again);
  std::tie(client, present) = join_session(Version::v5, "dev", 1000);
  EXPECT_TRUE(present);
  mqtt::Publish second{.topic = "b", .payload = "2", .packet_id = 2, .qos = 2, .dup = true};
  second.properties = identifier.view();
  mqtt::Publish third{.topic = "c", .payload = "3", .packet_id = 3, .qos = 1};
  third.properties = identifier.view();
  mqtt::Publish fourth{.topic = "c", .payload = "4", .packet_id = 4, .qos = 1};
  fourth.properties = identifier.view();
  std::string sent = take(client);
  EXPECT_EQ(sent.substr(0, 4), ack_packet(PacketType::pubrel, 1));
  sent.erase(0, 4);
  EXPECT_EQ(sent.substr(0, packet_of(Version::v5, second).size()), packet_of(Version::v5, second));
  sent.erase(0, packet_of(Version::v5, second).size());
  EXPECT_EQ(sent.size(), packet_of(Version::v5, third).size() * 2) << "13 only once";
  io_.arrive(client,
             packet_of(Version::v5, {.topic = "in", .payload = "x", .packet_id = 9, .qos = 2}));
  turn();
  EXPECT_EQ(take(client), ack_packet(PacketType::pubrec, 9)) << "stored before";
  EXPECT_EQ(intake_.events.size(), 1U);
  // It ends by the client's wish: nothing is left.
  io_.arrive(client, "\xe0\x07\x00\x05\x11\x00\x00\x00\x00"s);
  turn();
  EXPECT_TRUE(store.contents().sessions.empty());
}

// Goal: a message from before the process goes to sessions that were there, to no new subscriber.
TEST_F(MqttServerTest, OldMessagesAreForOldSessions) {
  start();
  const std::uint32_t client = join(Version::v5);
  subscribe(client, Version::v5, {.filter = "#", .qos = 1});
  route({.topic = "a", .payload = "1", .qos = 1, .old = true});
  EXPECT_EQ(take(client), "");
}

}  // namespace
}  // namespace tocsin::ingress
