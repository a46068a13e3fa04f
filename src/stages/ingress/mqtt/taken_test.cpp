// Goal: a publish that was taken before anybody looked into it, and is refused after all, is
// answered and counted as if it had been refused at once, whatever has become of its connection.
#include <gtest/gtest.h>

#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

constexpr std::size_t at_the_end_of_the_turn = 1000;

class TakenTest : public MqttServerTest {
 protected:
  static std::string publish(Version version, std::string_view payload, std::uint16_t id) {
    return publish_packet(version, "t", payload, id);
  }
  std::uint64_t refused() {
    return server_->stats().refused[static_cast<std::size_t>(flow::Refusal::json_syntax)].get();
  }
};

TEST_F(TakenTest, EachGetsItsOwnAnswer) {
  intake_.run_max = at_the_end_of_the_turn;
  start();
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    const std::uint32_t client = join(version, version == Version::v5 ? "five" : "three");
    const std::uint64_t before = refused();
    const std::uint64_t publishes = server_->stats().publishes.get();
    io_.arrive(client, publish(version, "bad", 1) + publish(version, "good", 2) +
                           publish(version, "bad", 0) + publish(version, "good", 0) +
                           publish(version, "bad", 3));
    turn();
    EXPECT_EQ(take(client), "");
    intake_.look_into_run();
    turn();
    EXPECT_EQ(take(client), version == Version::v5 ? "\x40\x03\x00\x01\x99\x40\x03\x00\x03\x99"s
                                                   : "\x40\x02\x00\x01\x40\x02\x00\x03"s);
    EXPECT_EQ(refused() - before, 3U) << "QoS 0 counts";
    EXPECT_EQ(server_->stats().publishes.get() - publishes, 5U);
    intake_.ack_all();
    turn();
    EXPECT_EQ(take(client), "\x40\x02\x00\x02"s);
    EXPECT_FALSE(peer(client).closed);
  }
}

// Method: the second publish of each pair has the first one refused, and itself, from within.
TEST_F(TakenTest, MayBeRefusedFromWithinTheCall) {
  intake_.run_max = 2;
  options_.receive_maximum = 2;
  start();
  const std::uint32_t client = join(Version::v5);
  std::string bytes;
  for (std::uint16_t id = 1; id <= 6; ++id) bytes += publish(Version::v5, "bad", id);
  io_.arrive(client, bytes);
  turn();
  EXPECT_EQ(take(client).size(), 6U * 5U) << "and none was above the maximum";
  EXPECT_EQ(refused(), 6U);
  EXPECT_FALSE(peer(client).closed);
}

TEST_F(TakenTest, ARefusalMakesRoomBelowTheReceiveMaximum) {
  intake_.run_max = at_the_end_of_the_turn;
  options_.receive_maximum = 2;
  start();
  const std::uint32_t client = join(Version::v3_1_1);
  for (std::uint16_t id = 1; id <= 5; ++id) io_.arrive(client, publish(Version::v3_1_1, "bad", id));
  turn();
  EXPECT_EQ(intake_.run.size(), 2U);
  EXPECT_FALSE(peer(client).receiving);
  for (const std::size_t left : {2U, 1U, 0U}) {
    intake_.look_into_run();
    turn();
    EXPECT_EQ(intake_.run.size(), left);
  }
  EXPECT_TRUE(peer(client).receiving);
  EXPECT_EQ(take(client).size(), 5U * 4U);
}

TEST_F(TakenTest, ARefusalDoesNotReachTheNextInTheSlot) {
  intake_.run_max = at_the_end_of_the_turn;
  start();
  const std::uint32_t first = join(Version::v5);
  io_.arrive(first, publish(Version::v5, "bad", 1) + publish(Version::v5, "bad", 0));
  peer(first).handler->on_end(ECONNRESET);
  turn();
  const std::uint32_t second = join(Version::v5);
  io_.arrive(second, publish(Version::v5, "good", 1));
  intake_.look_into_run();
  turn();
  EXPECT_EQ(take(second), "");
  EXPECT_EQ(refused(), 2U);
  intake_.ack_all();
  turn();
  EXPECT_EQ(take(second), "\x40\x02\x00\x01"s);
}

TEST_F(TakenTest, ALeavingClientGetsItsAnswerFirst) {
  intake_.run_max = at_the_end_of_the_turn;
  start();
  const std::uint32_t client = join(Version::v5);
  io_.arrive(client, publish(Version::v5, "bad", 1) + publish(Version::v5, "bad", 2));
  peer(client).handler->on_end(0);
  turn();
  EXPECT_FALSE(peer(client).closed);
  intake_.look_into_run();
  turn();
  EXPECT_EQ(take(client), "\x40\x03\x00\x01\x99\x40\x03\x00\x02\x99"s);
  EXPECT_TRUE(peer(client).closed);
}

// Goal: what found no room is owed nothing: the client can leave once the others are answered.
TEST_F(TakenTest, NoRoomStopsAndResumes) {
  intake_.run_max = at_the_end_of_the_turn;
  intake_.capacity = 1;
  start();
  const std::uint32_t client = join(Version::v5);
  io_.arrive(client, publish(Version::v5, "bad", 1) + publish(Version::v5, "good", 2));
  turn();
  EXPECT_EQ(intake_.run.size(), 1U);
  EXPECT_FALSE(peer(client).receiving);
  intake_.look_into_run();
  turn();
  EXPECT_EQ(take(client), "\x40\x03\x00\x01\x99"s);
  EXPECT_FALSE(peer(client).receiving);
  intake_.make_ready(1);
  turn();
  EXPECT_EQ(intake_.run.size(), 1U);
  EXPECT_TRUE(peer(client).receiving);
  intake_.look_into_run();
  peer(client).handler->on_end(0);
  turn();
  EXPECT_FALSE(peer(client).closed);
  intake_.ack_all();
  turn();
  EXPECT_EQ(take(client), "\x40\x02\x00\x02"s);
  EXPECT_TRUE(peer(client).closed);
}

// Goal: what says more than topic and payload goes the long way.
TEST_F(TakenTest, UnusualPublishesAreLookedIntoAtOnce) {
  intake_.run_max = at_the_end_of_the_turn;
  start();
  const std::uint32_t client = join(Version::v5);
  mqtt::PropertyBuilder<64> properties;
  properties.add_user("site", "north");
  io_.arrive(client, publish_packet(Version::v5, "t", "a", 1, properties.view()));
  io_.arrive(client,
             packet_of(Version::v5, {.topic = "t", .payload = "b", .packet_id = 2, .qos = 2}));
  EXPECT_TRUE(intake_.run.empty());
  EXPECT_EQ(intake_.events.size(), 2U);
  subscribe(client, Version::v5, {.filter = "x", .qos = 0, .no_local = true});
  io_.arrive(client, publish(Version::v5, "c", 3));
  EXPECT_TRUE(intake_.run.empty());
  ASSERT_EQ(intake_.events.size(), 3U);
  EXPECT_EQ(intake_.events[2].publisher, "dev");
}

}  // namespace
}  // namespace tocsin::ingress
