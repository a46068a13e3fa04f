#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/hash.hpp"
#include "stages/ingress/mqtt/server_fixture_test.hpp"
#include "tests/support/memory_session_store.hpp"

namespace tocsin::ingress {
namespace {

// Two reactors' servers on one loop: messages between them take a turn.
class MqttGroupsTest : public MqttServerTest {
 protected:
  std::unique_ptr<MqttServer> other_;

  void start_both() {
    start();
    other_ =
        std::make_unique<MqttServer>(loop_, intake_, options_, make_null_log(), shared_, &hub_);
    EXPECT_TRUE(other_->listen({}, false).has_value());
  }
  void TearDown() override {
    if (other_ != nullptr) {
      server_->close_now();
      other_->close_now();
      turn(6);
      EXPECT_TRUE(other_->closed());
      other_.reset();
    }
    MqttServerTest::TearDown();
  }
  // A group of the topic "t" that is at home at the given server.
  std::string group_at(std::size_t home) {
    for (int i = 0;; ++i) {
      std::string filter = "$share/g" + std::to_string(i) + "/t";
      if (hash64(filter) % shared_.servers.size() == home) return filter;
    }
  }
  // Every reactor gets every batch; the group is in one's trie only.
  void route_to_all(std::string_view payload) {
    for (MqttServer* const server : shared_.servers) {
      server->router().route({.topic = "t", .payload = payload, .qos = 1});
    }
  }
};

// Goal: a group whose only member moves to another reactor loses nothing meanwhile.
TEST_F(MqttGroupsTest, NothingIsLostWhileAMemberMoves) {
  start_both();
  for (std::size_t home = 0; home < 2; ++home) {
    SCOPED_TRACE(home);
    const std::string filter = group_at(home);
    io_.acceptor = server_.get();
    const std::uint32_t before = join_session(Version::v5, "dev", 100, true).first;
    subscribe(before, Version::v5, {.filter = filter, .qos = 1});
    io_.arrive(before, "\xe0\x00"s);
    turn();
    io_.acceptor = other_.get();
    const std::uint32_t after = *io_.accept();
    mqtt::PropertyBuilder<8> wishes;
    wishes.add_u32(PropertyId::session_expiry_interval, 100);
    io_.arrive(after, connect_packet(Version::v5, "dev", 0, false, {}, wishes.view()));
    for (int i = 0; i < 8; ++i) {
      route_to_all("payload " + std::to_string(i));
      turn(1);
    }
    turn(8);
    const std::string bytes = take(after);
    for (int i = 0; i < 8; ++i) {
      const std::string payload = "payload " + std::to_string(i);
      const std::size_t at = bytes.find(payload);
      EXPECT_NE(at, std::string::npos) << payload;
      EXPECT_EQ(bytes.find(payload, at + 1), std::string::npos) << "twice: " << payload;
    }
    io_.arrive(after, "\xe0\x07\x00\x05\x11\x00\x00\x00\x00"s);
    turn(6);
  }
}

// Goal: with others in the group, what was on its way to a member that moved goes to them.
TEST_F(MqttGroupsTest, AnotherMemberStepsIn) {
  start_both();
  const std::string filter = group_at(1);
  io_.acceptor = server_.get();
  const std::uint32_t leaver = join(Version::v5, "leaver");
  subscribe(leaver, Version::v5, {.filter = filter, .qos = 1});
  io_.acceptor = other_.get();
  const std::uint32_t stayer = join(Version::v5, "stayer");
  subscribe(stayer, Version::v5, {.filter = filter, .qos = 1});
  turn(4);
  route_to_all("one");
  route_to_all("two");
  io_.arrive(leaver, "\xe0\x00"s);
  turn(6);
  route_to_all("three");
  turn(6);
  const std::string bytes = take(stayer) + take(leaver);
  for (const char* payload : {"one", "two", "three"}) {
    EXPECT_NE(bytes.find(payload), std::string::npos) << payload;
  }
  io_.arrive(stayer, "\xe0\x00"s);
  turn(6);
  EXPECT_FALSE(server_->has_subscribers() || other_->has_subscribers());
}

// Goal: in a group, too, a message from before this process is only for sessions from before.
TEST_F(MqttGroupsTest, OldMessagesAreForOldMembers) {
  testing::MemorySessionStore store;
  flow::StoredSession stored;
  stored.client_id = "old";
  stored.expiry_s = 1000;
  store.put_session(stored);
  store.put_subscription("old", {.filter = "$share/g/t", .options = 1});
  start();
  server_->set_session_store(&store);
  ASSERT_TRUE(load_sessions(shared_, store).has_value());
  const std::uint32_t fresh = join(Version::v5, "fresh");
  subscribe(fresh, Version::v5, {.filter = "$share/g/t", .qos = 1});
  for (const std::uint64_t sequence : {7UL, 8UL}) {
    route({.topic = "t", .payload = "before", .qos = 1, .old = true, .sequence = sequence});
  }
  route({.topic = "t", .payload = "now", .qos = 1, .sequence = 9});
  const std::string bytes = take(fresh);
  EXPECT_EQ(bytes.find("before"), std::string::npos);
  EXPECT_NE(bytes.find("now"), std::string::npos) << "who is there comes first";
  ASSERT_EQ(store.contents().sessions.size(), 1U);
  EXPECT_EQ(store.contents().sessions.begin()->second.messages.size(), 2U);
}

}  // namespace
}  // namespace tocsin::ingress
