// Goal: what was committed is there at the next start, in order, and nothing else is.
#include "stages/sessions/sqlite_session_store.hpp"

#include <filesystem>

#include "stages/sessions/store_fixture_test.hpp"

namespace tocsin::sessions {
namespace {

using SessionStoreTest = StoreFixture;
using Ordinals = std::vector<std::uint64_t>;

TEST_F(SessionStoreTest, EverythingComesBack) {
  EXPECT_TRUE(start().order.empty());
  flow::StoredSession session = make_session("b", std::string("with\0zero", 9));
  session.disconnected_wall_us = 5;
  session.expiry_s = UINT32_MAX;
  EXPECT_TRUE(store->put_session(session));
  EXPECT_TRUE(store->put_session(make_session("a")));
  EXPECT_TRUE(store->put_session(make_session("")));
  EXPECT_TRUE(store->put_subscription("b", {.filter = "x/+", .options = 1, .identifier = 7}));
  EXPECT_TRUE(store->put_subscription("b", {.filter = "$share/g/y", .options = 2}));
  EXPECT_TRUE(store->put_message("b", 9, "nine", nullptr));
  EXPECT_TRUE(store->put_message("b", 10, "", nullptr));
  EXPECT_TRUE(store->put_message("b", 3, "three", nullptr));
  EXPECT_TRUE(store->put_retained("t", "kept", nullptr));
  EXPECT_TRUE(store->put_retained("u", "gone", nullptr));
  EXPECT_TRUE(store->put_retained("u", "", nullptr));

  const Loaded loaded = restart();
  EXPECT_EQ(loaded.order, (std::vector<std::string>{"", "a", "b"}));
  const flow::StoredSession& b = loaded.sessions.at("b");
  EXPECT_EQ(b.expiry_s, UINT32_MAX);
  EXPECT_EQ(b.disconnected_wall_us, 5);
  EXPECT_EQ(b.state, std::string("with\0zero", 9));
  ASSERT_EQ(b.subscriptions.size(), 2U);
  EXPECT_EQ(b.subscriptions[0].filter, "$share/g/y");
  EXPECT_EQ(b.subscriptions[0].options, 2);
  EXPECT_EQ(b.subscriptions[1].filter, "x/+");
  EXPECT_EQ(b.subscriptions[1].identifier, 7U);
  EXPECT_EQ(loaded.ordinals("b"), (Ordinals{3, 9, 10}));
  EXPECT_EQ(b.messages[1].bytes, "nine");
  EXPECT_EQ(b.messages[2].bytes, "");
  EXPECT_EQ(loaded.retained, (std::map<std::string, std::string, std::less<>>{{"t", "kept"}}));
}

TEST_F(SessionStoreTest, ChangesOfStoredSessions) {
  start();
  for (const char* id : {"a", "b", "c"}) {
    EXPECT_TRUE(store->put_session(make_session(id)));
    EXPECT_TRUE(store->put_subscription(id, {.filter = "f"}));
    EXPECT_TRUE(store->put_subscription(id, {.filter = "g"}));
    for (std::uint64_t n = 1; n <= 4; ++n) EXPECT_TRUE(store->put_message(id, n, "m", nullptr));
  }
  restart();
  EXPECT_TRUE(store->remove_message("a", 2));
  EXPECT_TRUE(store->put_message("a", 3, "changed", nullptr));
  EXPECT_TRUE(store->put_message("a", 5, "new", nullptr));
  EXPECT_TRUE(store->put_message("a", 4, "changed", nullptr));
  EXPECT_TRUE(store->remove_message("a", 4));
  EXPECT_TRUE(store->remove_subscription("a", "f"));
  EXPECT_TRUE(store->put_subscription("a", {.filter = "g", .options = 2}));
  EXPECT_TRUE(store->put_session(make_session("a", "other")));
  EXPECT_TRUE(store->remove_session("b"));
  EXPECT_TRUE(store->remove_session("c"));
  EXPECT_TRUE(store->put_session(make_session("c", "reborn")));
  EXPECT_TRUE(store->put_message("c", 1, "first", nullptr));

  const Loaded loaded = restart();
  EXPECT_EQ(loaded.order, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(loaded.ordinals("a"), (Ordinals{1, 3, 5}));
  EXPECT_EQ(loaded.sessions.at("a").messages[1].bytes, "changed");
  EXPECT_EQ(loaded.sessions.at("a").state, "other");
  ASSERT_EQ(loaded.sessions.at("a").subscriptions.size(), 1U);
  EXPECT_EQ(loaded.sessions.at("a").subscriptions[0].options, 2);
  EXPECT_EQ(loaded.sessions.at("c").state, "reborn");
  EXPECT_EQ(loaded.ordinals("c"), Ordinals{1});
  EXPECT_TRUE(loaded.sessions.at("c").subscriptions.empty());
}

TEST_F(SessionStoreTest, RangesAreSettledByTheCommit) {
  start();
  EXPECT_TRUE(store->put_session(make_session("a")));
  auto* const message = ranges.make();
  auto* const retained = ranges.make();
  EXPECT_TRUE(store->put_message("a", 1, "m", message));
  EXPECT_TRUE(store->put_retained("t", "r", retained));
  ASSERT_TRUE(store->flush(patience));
  EXPECT_TRUE(ranges.settled(message));
  EXPECT_TRUE(ranges.settled(retained));
  EXPECT_EQ(metric("tocsin_store_queue_bytes"), 0);
}

// Goal: a message that changes before its commit (QoS 2, sent meanwhile) holds its range until it
// is durable: nothing else would bring it back.
TEST_F(SessionStoreTest, ANewVersionKeepsTheRange) {
  auto slow = settings();
  slow.commit_interval = std::chrono::hours{1};
  start(slow);
  EXPECT_TRUE(store->put_session(make_session("a")));
  auto* const durable = ranges.make();
  auto* const removed = ranges.make();
  EXPECT_TRUE(store->put_message("a", 1, "queued", durable));
  EXPECT_TRUE(store->put_message("a", 1, "sent", nullptr));
  EXPECT_TRUE(store->put_message("a", 2, "queued", removed));
  EXPECT_TRUE(store->put_message("a", 2, "sent", nullptr));
  EXPECT_FALSE(ranges.settled(durable));
  EXPECT_FALSE(ranges.settled(removed));
  EXPECT_TRUE(store->remove_message("a", 2));
  EXPECT_TRUE(ranges.settled(removed));
  ASSERT_TRUE(store->flush(patience));
  EXPECT_TRUE(ranges.settled(durable));
}

// Goal: nothing that was undone before the commit is written; its range does not wait for one.
TEST_F(SessionStoreTest, WhatIsUndoneNeverReachesTheDisk) {
  auto slow = settings();
  slow.commit_interval = std::chrono::hours{1};
  start(slow);
  EXPECT_TRUE(store->put_session(make_session("short")));
  EXPECT_TRUE(store->put_message("short", 1, "m", nullptr));
  EXPECT_TRUE(store->remove_session("short"));
  EXPECT_TRUE(store->put_session(make_session("a")));
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    auto* const range = ranges.make();
    EXPECT_TRUE(store->put_message("a", n, "message", range));
    EXPECT_TRUE(store->remove_message("a", n));
    EXPECT_TRUE(ranges.settled(range));
  }
  ASSERT_TRUE(store->flush(patience));
  EXPECT_EQ(metric("tocsin_store_rows_total", "put"), 1);
  EXPECT_EQ(metric("tocsin_store_rows_total", "remove"), 0);
  EXPECT_EQ(restart().order, std::vector<std::string>{"a"});
}

// Goal: a machine without persistent sessions has no database, and pays no syncs for one.
TEST_F(SessionStoreTest, NoFileBeforeTheFirstChange) {
  start();
  EXPECT_TRUE(store->remove_session("unknown"));
  EXPECT_TRUE(store->stop(patience));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(SessionStoreTest, TheQueueIsBounded) {
  auto small = settings();
  small.commit_interval = std::chrono::hours{1};
  // A commit is due at a quarter: it must not come in between.
  small.queue_bytes_max = 100'000;
  store = make(small);
  ASSERT_TRUE(store->load([](auto&&) {}, [](auto&&) {}));
  EXPECT_TRUE(store->put_session(make_session("a")));
  std::uint64_t taken = 0;
  auto* range = ranges.make();
  while (store->put_message("a", taken + 1, std::string(1000, 'x'), range)) {
    EXPECT_FALSE(ranges.settled(range));
    ++taken;
    range = ranges.make();
    ASSERT_LT(taken, 100U);
  }
  EXPECT_GT(taken, 80U);
  EXPECT_TRUE(ranges.settled(range)) << "refused: nobody else will settle it";
  EXPECT_EQ(metric("tocsin_store_refused_total"), 1);
  EXPECT_LE(metric("tocsin_store_queue_bytes"), 100'000);
  // What makes room is always taken.
  EXPECT_TRUE(store->remove_message("a", 1));
  EXPECT_TRUE(store->put_message("a", taken + 2, std::string(1000, 'x'), nullptr));
  store->start();
  ASSERT_TRUE(store->flush(patience));
  EXPECT_TRUE(store->put_message("a", taken + 3, std::string(1000, 'x'), nullptr));
  EXPECT_EQ(restart().ordinals("a").size(), taken + 1);
}

TEST_F(SessionStoreTest, ListsOfUnknownSessionsAreRefused) {
  start();
  auto* const range = ranges.make();
  EXPECT_FALSE(store->put_message("nobody", 1, "m", range));
  EXPECT_TRUE(ranges.settled(range));
  EXPECT_FALSE(store->put_subscription("nobody", {.filter = "f"}));
}

TEST_F(SessionStoreTest, ExpiredSessionsAreRemoved) {
  start();
  const auto disconnected = [&](std::string id, std::uint32_t expiry_s) {
    flow::StoredSession session = make_session(std::move(id));
    session.expiry_s = expiry_s;
    session.disconnected_wall_us = to_us(wall.load());
    return session;
  };
  EXPECT_TRUE(store->put_session(disconnected("minute", 60)));
  EXPECT_TRUE(store->put_message("minute", 1, "m", nullptr));
  EXPECT_TRUE(store->put_session(disconnected("hour", 3600)));
  EXPECT_TRUE(store->put_session(disconnected("never", UINT32_MAX)));
  flow::StoredSession connected = disconnected("connected", 60);
  connected.disconnected_wall_us = 0;
  EXPECT_TRUE(store->put_session(connected));
  EXPECT_TRUE(store->stop(patience));
  wall = wall.load() + std::chrono::seconds{61};

  auto untrusted = settings();
  untrusted.wall_trusted = false;
  EXPECT_EQ(start(untrusted).order.size(), 4U);
  const std::vector<std::string> rest{"connected", "hour", "never"};
  EXPECT_EQ(restart().order, rest);
  EXPECT_EQ(metric("tocsin_store_expired_sessions_total"), 1);
  // They are gone from the disk too, not only hidden.
  wall = wall.load() - std::chrono::seconds{61};
  EXPECT_EQ(restart().order, rest);
}

// Goal: what comes too late is left to the journal: its range stays open.
TEST_F(SessionStoreTest, AfterTheEndNothingIsTaken) {
  start();
  EXPECT_TRUE(store->put_session(make_session("a")));
  EXPECT_TRUE(store->stop(patience));
  auto* const message = ranges.make();
  auto* const retained = ranges.make();
  EXPECT_FALSE(store->put_message("a", 1, "m", message));
  EXPECT_FALSE(store->put_retained("t", "m", retained));
  EXPECT_FALSE(ranges.settled(message));
  EXPECT_FALSE(ranges.settled(retained));
  EXPECT_EQ(start().order, std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace tocsin::sessions
