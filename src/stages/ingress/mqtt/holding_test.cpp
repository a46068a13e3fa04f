// What happens when clients send more than we can take at present.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

std::string publishes(std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += publish_packet(Version::v3_1_1, "t", std::string(500, 'x'));
  return all;
}

// Goal: events that wait for capacity stop everybody's receiving before memory runs out, for no
// longer than they wait; and nobody is closed for the silence that we made.
TEST_F(MqttServerTest, WaitingInputHoldsReceiving) {
  options_.carry_bytes_max = 65'536;
  start();
  const std::uint32_t idle = *io_.accept();
  io_.arrive(idle, connect_packet(Version::v3_1_1, "idle", 10));
  const std::uint32_t busy = join(Version::v3_1_1, "busy");
  intake_.capacity = 0;
  io_.arrive(busy, publishes(10'000));
  turn();
  EXPECT_TRUE(peer(idle).receiving) << "a part that is harmless";
  io_.arrive(busy, publishes(10'000));
  turn();
  EXPECT_FALSE(peer(idle).receiving);
  pass(std::chrono::seconds(60));
  EXPECT_FALSE(peer(idle).closed);
  intake_.make_ready(1000);
  turn();
  EXPECT_TRUE(peer(idle).receiving);
  EXPECT_TRUE(peer(busy).receiving);
  EXPECT_EQ(intake_.events.size(), 40U);
  pass(std::chrono::seconds(14));
  EXPECT_FALSE(peer(idle).closed) << "its time begins anew";
  pass(std::chrono::seconds(2));
  EXPECT_TRUE(peer(idle).closed);
}

// Goal: who is in the middle of a packet is held like all others, and goes on with it afterwards.
TEST_F(MqttServerTest, PartialPacketGoesOnAfterHolding) {
  options_.carry_bytes_max = 65'536;
  start();
  const std::uint32_t partial = join(Version::v3_1_1, "partial");
  const std::uint32_t busy = join(Version::v3_1_1, "busy");
  const std::string packet = publish_packet(Version::v3_1_1, "t", std::string(3000, 'x'));
  io_.arrive(partial, packet.substr(0, 2000));
  intake_.capacity = 0;
  io_.arrive(busy, publishes(20'000));
  turn();
  EXPECT_FALSE(peer(partial).receiving);
  intake_.make_ready(1000);
  turn();
  EXPECT_TRUE(peer(partial).receiving);
  const std::size_t before = intake_.events.size();
  io_.arrive(partial, packet.substr(2000));
  turn();
  EXPECT_EQ(intake_.events.size(), before + 1);
}

// Goal: partial packets, and input of a client that does not read its answers, stop nobody else.
TEST_F(MqttServerTest, PartialPacketsHoldNobody) {
  options_.carry_bytes_max = 65'536;
  options_.output_bytes_max = 1000;
  start();
  const std::uint32_t innocent = join(Version::v3_1_1, "innocent");
  const std::uint32_t deaf = join(Version::v3_1_1, "deaf");
  peer(deaf).stuck = true;
  std::string pings;
  for (int i = 0; i < 10'000; ++i) pings += "\xc0\x00"s;
  io_.arrive(deaf, pings);
  turn();
  EXPECT_FALSE(peer(deaf).receiving);
  EXPECT_TRUE(peer(innocent).receiving);
  const std::uint32_t slow = join(Version::v3_1_1, "slow");
  const std::string large = publish_packet(Version::v3_1_1, "t", std::string(100'000, 'x'));
  io_.arrive(slow, large.substr(0, 20'000));
  turn();
  EXPECT_TRUE(peer(slow).receiving);
  EXPECT_TRUE(peer(innocent).receiving);
  io_.arrive(innocent, "\xc0\x00"s);
  turn();
  EXPECT_EQ(take(innocent), "\xd0\x00"s);
}

// Goal: those who never finish their CONNECT take a small part of the memory, and what is beyond it
// is closed; known clients notice nothing.
TEST_F(MqttServerTest, UnknownClientsHaveLittleMemory) {
  options_.carry_bytes_max = 262'144;
  start();
  const std::uint32_t known = join(Version::v3_1_1, "known");
  const std::string half = "\x10\xf0\x3f"s + std::string(8000, 'x');
  std::vector<std::uint32_t> unknown;
  for (int i = 0; i < 64; ++i) {
    unknown.push_back(*io_.accept());
    io_.arrive(unknown.back(), half);
  }
  turn();
  EXPECT_EQ(closed(MqttClose::memory), 60U) << "an eighth of it is four times 8003 bytes";
  EXPECT_FALSE(peer(unknown.front()).closed);
  EXPECT_TRUE(peer(unknown.back()).closed);
  EXPECT_TRUE(peer(known).receiving);
  const std::uint32_t next = join(Version::v3_1_1, "next");
  io_.arrive(next, publish_packet(Version::v3_1_1, "t", "x", 1).substr(0, 5));
  turn();
  EXPECT_FALSE(peer(next).closed) << "once known it is not one of them";
  pass(std::chrono::seconds(10));
  EXPECT_EQ(closed(MqttClose::connect_timeout), 4U);
  const std::uint32_t later = *io_.accept();
  io_.arrive(later, half);
  turn();
  EXPECT_FALSE(peer(later).closed) << "their memory is free again";
}

// Goal: a message that found no memory while its client was idle is sent when there is some,
// without anything else happening on the connection.
TEST_F(MqttServerTest, QueueGoesOnAfterShortage) {
  start();
  constexpr std::size_t clients = 100;
  std::vector<std::uint32_t> subscribers;
  for (std::size_t i = 0; i < clients; ++i) {
    subscribers.push_back(join_session(Version::v5, std::to_string(i)).first);
    subscribe(subscribers.back(), Version::v5, {.filter = "t", .qos = 1});
  }
  ByteBudget& budget = server_->budget();
  std::size_t taken = budget.max() - budget.used();
  ASSERT_TRUE(budget.charge(taken));
  const std::string payload(3000, 'x');
  route({.topic = "t", .payload = payload, .qos = 1});
  route({.topic = "t", .payload = "2", .qos = 1});
  EXPECT_EQ(take(subscribers[0]), "");
  budget.refund(1000);
  taken -= 1000;
  turn();
  EXPECT_EQ(take(subscribers[0]), "") << "too little";
  budget.refund(taken);
  turn(6);
  const std::string both =
      publish_packet(Version::v5, "t", payload, 1) + publish_packet(Version::v5, "t", "2", 2);
  for (const std::uint32_t client : subscribers) {
    EXPECT_TRUE(take(client) == both) << client;
  }
}

}  // namespace
}  // namespace tocsin::ingress
