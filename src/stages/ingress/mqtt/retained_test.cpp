#include <gtest/gtest.h>

#include <map>
#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"
#include "tests/support/memory_session_store.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

class MqttRetainedTest : public MqttServerTest {
 protected:
  static constexpr int count = 5000;

  void retain(std::string_view topic, std::string_view payload,
              MonoTime expires = MonoTime::max()) {
    server_->router().restore_retained(
        topic,
        encode_message(
            {.topic = topic, .payload = payload, .qos = 1, .retain = true, .expires = expires},
            server_->wall_offset()));
  }
  void retain_many() {
    for (int i = 0; i < count; ++i) {
      retain("r/" + std::to_string(i % 50) + "/" + std::to_string(i), std::string(200, 'x'));
    }
  }
  // What has come since, by topic; acknowledges it.
  void collect(std::uint32_t client) {
    const std::string bytes = take(client);
    std::size_t used = 0;
    while (used < bytes.size()) {
      const auto rest = std::as_bytes(std::span(bytes)).subspan(used);
      const auto next = mqtt::next_packet(rest, 100'000);
      ASSERT_EQ(next.status, mqtt::NextPacket::Status::packet);
      used += next.frame.size;
      if (next.frame.type != PacketType::publish) continue;
      const auto publish = mqtt::parse_publish(next.frame, Version::v5);
      ASSERT_TRUE(publish.has_value());
      EXPECT_TRUE(publish->retain);
      ++found_[std::string(publish->topic)];
      if (publish->qos > 0) {
        io_.arrive(client, ack_packet(PacketType::puback, publish->packet_id));
      }
    }
  }
  std::uint64_t dropped() {
    std::uint64_t sum = 0;
    for (const Counter& counter : server_->stats().dropped) sum += counter.get();
    return sum;
  }
  void expect_each_once() {
    EXPECT_EQ(found_.size(), static_cast<std::size_t>(count));
    for (const auto& [topic, times] : found_) EXPECT_EQ(times, 1) << topic;
    EXPECT_EQ(dropped(), 0U);
    found_.clear();
  }

  std::map<std::string, int> found_;
};

// Goal: a subscriber gets all that is retained, once each, however much it is and however slowly he
// reads, and a turn is not held up by it.
TEST_F(MqttRetainedTest, AllOfThemArriveOverTurns) {
  start();
  retain_many();
  for (const std::uint8_t qos : {std::uint8_t{0}, std::uint8_t{1}}) {
    for (const bool slow : {false, true}) {
      for (const bool persistent : {false, true}) {
        SCOPED_TRACE(::testing::Message() << int{qos} << slow << persistent);
        const std::uint32_t client =
            persistent ? join_session(Version::v5, "kept", 100, true).first : join(Version::v5);
        io_.arrive(client, subscribe_packet(Version::v5, "#", qos));
        for (int i = 0; i < 1000; ++i) {
          peer(client).stuck = slow && i % 3 != 0;
          turn(1);
          EXPECT_LE(peer(client).sending.size(), options_.output_bytes_max);
          collect(client);
        }
        expect_each_once();
        io_.arrive(client, "\xe0\x00"s);
        turn();
      }
    }
  }
}

// Goal: a filter twice in one SUBSCRIBE brings everything once; what is published meanwhile is not
// lost for it; a subscription that ends takes its walk with it.
TEST_F(MqttRetainedTest, WalksEndWithTheirSubscriptions) {
  start();
  retain_many();
  const std::uint32_t client = join(Version::v5);
  const std::array filters{mqtt::Filter{.filter = "r/#"}, mqtt::Filter{.filter = "r/#"}};
  io_.arrive(client, written([&](auto out) {
               return mqtt::write_subscribe(out, 9, filters, {}, Version::v5);
             }));
  turn(200);
  collect(client);
  expect_each_once();
  io_.arrive(client, subscribe_packet(Version::v5, "r/#", 0));
  peer(client).stuck = true;
  turn();
  io_.arrive(client, "\xa2\x08\x00\x05\x00\x00\x03r/#"s);
  peer(client).stuck = false;
  turn(200);
  collect(client);
  EXPECT_LT(found_.size(), 1000U);
}

// Goal: a session whose client went away in the middle gets the rest when it is back.
TEST_F(MqttRetainedTest, TheRestComesAfterAReconnect) {
  start();
  retain_many();
  std::uint32_t client = join_session(Version::v5, "kept").first;
  io_.arrive(client, subscribe_packet(Version::v5, "#", 1));
  turn(8);
  collect(client);
  turn(2);
  collect(client);
  EXPECT_LT(found_.size(), 1000U);
  peer(client).handler->on_end(ECONNRESET);
  turn();
  client = join_session(Version::v5, "kept").first;
  for (int i = 0; i < 1000; ++i) {
    turn(1);
    collect(client);
  }
  EXPECT_EQ(found_.size(), static_cast<std::size_t>(count));
}

// Goal: what has expired leaves the memory and the store, without anybody asking for it.
TEST_F(MqttRetainedTest, ExpiredOnesAreRemoved) {
  testing::MemorySessionStore store;
  start();
  server_->set_session_store(&store);
  retain("gone", "1", loop_.now() + std::chrono::seconds(10));
  retain("stays", "2");
  store.put_retained("gone", "1", nullptr);
  store.put_retained("stays", "2", nullptr);
  turn();
  EXPECT_EQ(server_->router().retained().size(), 2U);
  pass(std::chrono::seconds(11));
  EXPECT_EQ(server_->router().retained().size(), 1U);
  EXPECT_EQ(store.contents().retained.size(), 1U);
  EXPECT_TRUE(store.contents().retained.contains("stays"));
}

}  // namespace
}  // namespace tocsin::ingress
