// Sessions that move: between two reactors, and from one process to the next.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "flow/route_info.hpp"
#include "stages/ingress/mqtt/server_fixture_test.hpp"
#include "tests/support/memory_session_store.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

// A second reactor, and batches as the journal forwards them.
class MqttMovesTest : public MqttServerTest {
 protected:
  FakeIo other_io_;
  flow::Loop other_loop_{other_io_, "other"};
  FakeIntake other_intake_;
  std::unique_ptr<MqttServer> other_;
  flow::BatchPool pool_{16, 512 << 10};
  testing::MemorySessionStore store_;

  void start_both() {
    start();
    other_ = std::make_unique<MqttServer>(other_loop_, other_intake_, options_, make_null_log(),
                                          shared_, nullptr);
    ASSERT_TRUE(other_->listen({}, false).has_value());
  }
  void turn_other(int n = 3) {
    for (int i = 0; i < n; ++i) other_loop_.turn(MonoTime::min());
  }
  void end_other() {
    other_->close_now();
    turn_other();
    turn();
    turn_other();
    EXPECT_EQ(other_->budget().used(), 0U);
    other_.reset();
    shared_.servers.pop_back();
    turn();
    EXPECT_EQ(pool_.available(), 16U) << "batches were not given back";
  }
  // The batch with this sequence reaches the server's mailbox, if the server wants any.
  void forward(flow::Loop& loop, MqttServer& server, std::uint64_t sequence) {
    if (server.router().wanted() == 0) return;
    flow::Batch& batch = *pool_.acquire();
    batch.open(Level::stored, WallTime{}, loop.io().now(), {}, true);
    const std::string attributes("\x01\x01\x00t", 4);
    const std::string payload = std::to_string(sequence);
    RecordHeader record{};
    record.mqtt = flow::mqtt_routed_bit | 1;
    record.payload_size = static_cast<std::uint32_t>(payload.size());
    std::memcpy(batch.payload_tail(), payload.data(), payload.size());
    batch.append(record, attributes, loop.io().now(), {});
    batch.seal();
    batch.assign(sequence, 1);
    loop.post({.to = &server, .kind = MqttServer::message_batch, .arg = 0, .object = &batch});
  }
  std::uint32_t connect_other(bool clean = false) {
    const std::uint32_t client = *other_io_.accept();
    other_io_.arrive(client, connect_packet(Version::v3_1_1, "dev", 0, clean));
    return client;
  }
  // The payloads of the PUBLISH packets after a CONNACK.
  static std::string payloads(std::string_view sent) {
    std::string all;
    if (sent.starts_with('\x20')) sent.remove_prefix(4);
    while (sent.size() >= 2) {
      const auto size = static_cast<std::size_t>(sent[1]);
      all.append(sent.substr(2 + 2 + 1 + 2, size - 5)).append(" ");
      sent.remove_prefix(2 + size);
    }
    return all;
  }
  void storm(bool clean);
};

void MqttMovesTest::storm(bool clean) {
  start_both();
  auto [first, present] = join_session(Version::v3_1_1, "dev");
  subscribe(first, Version::v3_1_1, {.filter = "t", .qos = 1});
  const std::string connect = connect_packet(Version::v3_1_1, "dev", 0, clean);
  // Turns at odd intervals, so that claims overtake each other in every way.
  for (std::uint32_t i = 0; i < 60; ++i) {
    if (i % 3 == 0) {
      io_.arrive(*io_.accept(), connect);
    } else {
      other_io_.arrive(*other_io_.accept(), connect);
    }
    if (i % 2 == 0) turn(1);
    if (i % 5 == 0) turn_other(1);
  }
  for (int i = 0; i < 40; ++i) {
    turn(1);
    turn_other();
  }
  EXPECT_EQ(server_->connections() + other_->connections(), 1U);
  EXPECT_EQ(server_->sessions().size() + other_->sessions().size(), 1U);
  EXPECT_EQ(shared_.directory.size(), 1U);
}

// Goal: a reconnect storm with one identifier across two reactors leaves one connection, one
// session, and nothing else.
TEST_F(MqttMovesTest, ReconnectStorm) {
  storm(false);
  // The last one is at the other server; it has the session with its subscription.
  EXPECT_EQ(other_io_.streams.back()->sent.substr(0, 4), "\x20\x02\x01\x00"s);
  other_->router().route({.topic = "t", .payload = "x", .qos = 1});
  turn_other();
  EXPECT_TRUE(
      other_io_.streams.back()->sent.ends_with(publish_packet(Version::v3_1_1, "t", "x", 1)));
  EXPECT_FALSE(server_->has_subscribers());
  end_other();
}

// Goal: the same with clean starts, each of which ends the session that it was waiting for.
TEST_F(MqttMovesTest, ReconnectStormWithCleanStarts) {
  storm(true);
  EXPECT_FALSE(server_->has_subscribers());
  EXPECT_FALSE(other_->has_subscribers());
  end_other();
}

// Goal: the directory knows the session that a clean start has put into the place of one from
// another reactor: the next CONNECT takes it over.
TEST_F(MqttMovesTest, TakeoverAfterACleanStart) {
  start_both();
  const std::uint32_t first = join_session(Version::v3_1_1, "dev").first;
  const std::uint32_t second = connect_other(true);
  for (int i = 0; i < 3; ++i) {
    turn();
    turn_other();
  }
  EXPECT_TRUE(peer(first).closed);
  EXPECT_EQ(shared_.directory.size(), 1U);
  join_session(Version::v3_1_1, "other");
  const std::uint32_t third = *io_.accept();
  io_.arrive(third, connect_packet(Version::v3_1_1, "dev", 0, true));
  for (int i = 0; i < 3; ++i) {
    turn();
    turn_other();
  }
  EXPECT_TRUE(other_io_.streams[second]->closed);
  EXPECT_EQ(take(third), "\x20\x02\x00\x00"s);
  end_other();
}

// Goal: a CONNECT whose client has gone while it waited leaves the session found by the next one,
// or, with a clean start, nothing.
TEST_F(MqttMovesTest, TheNewClientIsGoneAlready) {
  start_both();
  join_session(Version::v3_1_1, "dev");
  for (const bool clean : {false, true}) {
    const std::uint32_t gone = connect_other(clean);
    turn_other(1);
    other_io_.streams[gone]->handler->on_end(ECONNRESET);
    for (int i = 0; i < 3; ++i) {
      turn();
      turn_other();
    }
    EXPECT_EQ(server_->sessions().size() + other_->sessions().size(), clean ? 0U : 1U);
    EXPECT_EQ(shared_.directory.size(), clean ? 0U : 1U);
  }
  end_other();
}

// Goal: whichever reactor is ahead when a session moves, it gets every message once.
// Method: of batches 1 to 8 the old reactor has seen `old_seen` and the new one `new_seen` when the
// client connects there; the others come at every stage of the move.
TEST_F(MqttMovesTest, NothingIsLostOrDoubledOnTheWay) {
  start_both();
  // Keeps the other reactor interested from the beginning.
  const std::uint32_t watcher = *other_io_.accept();
  other_io_.arrive(watcher, connect_packet(Version::v3_1_1, "watcher"));
  other_io_.arrive(watcher, subscribe_packet(Version::v3_1_1, "t", 0));
  turn_other();
  std::uint64_t base = 0;
  for (const bool new_is_ahead : {false, true}) {
    const std::uint32_t first = *io_.accept();
    io_.arrive(first, connect_packet(Version::v3_1_1, "dev", 0, false));
    for (int i = 0; i < 3; ++i) {
      turn();
      turn_other();
    }
    take(first);
    subscribe(first, Version::v3_1_1, {.filter = "t", .qos = 1});
    peer(first).handler->on_end(ECONNRESET);
    turn();
    const auto here = [&](std::uint64_t n) { forward(loop_, *server_, base + n); };
    const auto there = [&](std::uint64_t n) { forward(other_loop_, *other_, base + n); };
    here(1);
    there(1);
    turn();
    turn_other();
    if (new_is_ahead) {
      there(2);
      there(3);
      turn_other();
      here(2);
      here(3);
    } else {
      here(2);
      here(3);
      turn();
    }
    const std::uint32_t second = connect_other();
    turn_other(1);
    if (!new_is_ahead) {
      there(2);
      there(3);
    }
    there(4);
    there(5);
    turn_other();
    here(4);
    turn();
    here(5);
    here(6);
    there(6);
    turn_other();
    turn();
    turn_other();
    here(7);
    there(7);
    turn_other();
    turn();
    std::string wanted;
    for (int n = 1; n <= 7; ++n) wanted += std::to_string(base + static_cast<unsigned>(n)) + " ";
    EXPECT_EQ(payloads(other_io_.streams[second]->sent), wanted) << new_is_ahead;
    other_io_.streams[second]->sent.clear();
    for (std::uint16_t id = 1; id <= 20; ++id) {
      other_io_.arrive(second, ack_packet(PacketType::puback, id));
    }
    turn_other();
    base += 10;
  }
  end_other();
}

// Goal: what a client has acknowledged is not sent again by the next process, though the journal's
// cursor is behind it; what it has not got is, and so is what a new journal brings.
TEST_F(MqttMovesTest, RestartRoutesOnlyWhatIsNew) {
  start();
  server_->set_session_store(&store_);
  std::uint32_t client = join_session(Version::v3_1_1, "dev").first;
  subscribe(client, Version::v3_1_1, {.filter = "t", .qos = 2});
  io_.time += std::chrono::seconds(1);
  for (std::uint64_t n = 1; n <= 3; ++n) forward(loop_, *server_, n);
  turn();
  for (std::uint16_t id = 1; id <= 3; ++id) io_.arrive(client, ack_packet(PacketType::puback, id));
  pass(std::chrono::milliseconds(100));

  // The process is killed.
  testing::MemorySessionStore::Contents before = store_.contents();
  server_.reset();
  io_.streams.clear();
  shared_.servers.clear();
  io_.time += std::chrono::seconds(1);
  start();
  server_->set_session_store(&store_);
  ASSERT_EQ(before.sessions.size(), 1U);
  EXPECT_TRUE(before.sessions.begin()->second.messages.empty());
  ASSERT_TRUE(store_.put_session(before.sessions.begin()->second));
  ASSERT_TRUE(load_sessions(shared_, store_).has_value());
  client = join_session(Version::v3_1_1, "dev").first;
  for (std::uint64_t n = 1; n <= 4; ++n) {
    route({.topic = "t", .payload = std::to_string(n), .qos = 1, .old = true, .sequence = n});
  }
  route({.topic = "t", .payload = "new", .qos = 1, .sequence = 2});
  EXPECT_EQ(payloads(take(client)), "4 new ");
}

}  // namespace
}  // namespace tocsin::ingress
