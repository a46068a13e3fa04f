#include "stages/deliver/stage.hpp"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "stages/deliver/fake_channel.hpp"

namespace tocsin::deliver {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

class DeliverStageTest : public ::testing::Test {
 protected:
  DeliverStageTest() {
    fake_world = {};
    range_.ledger = &ledger_;
    range_.ledger_loop = &loop_;
    range_.outstanding = 1;
  }
  ~DeliverStageTest() override { EXPECT_EQ(pool_.in_use(), 0U) << "a notification is left"; }

  void post(std::string channel, std::string recipient, Priority priority = Priority::normal) {
    flow::Notification* n = pool_.acquire();
    ASSERT_NE(n, nullptr);
    n->id = {.hi = 0, .lo = ++last_id_};
    n->channel = std::move(channel);
    n->recipient = std::move(recipient);
    n->subject = "s";
    n->body = "body";
    n->priority = priority;
    n->received = io_.now();
    ASSERT_TRUE(pool_.charge(n->body.size()));
    range_.retain();
    n->range = &range_;
    pacing_.on_posted({.notifications = 1, .body_bytes = n->body.size()});
    loop_.post({.to = &*stage_, .kind = DeliverStage::message_notification, .arg = 0, .object = n});
  }
  void turn(int n = 1) {
    for (int i = 0; i < n; ++i) loop_.turn();
  }
  void advance(Duration by) {
    io_.advance(by);
    turn();
  }
  void set(std::vector<flow::ChannelConfig> configs) {
    const auto done = stage_->set_channels(configs);
    ASSERT_TRUE(done) << done.error();
  }
  const LaneCounters& counters(std::string_view channel = "c") {
    return *stage_->counters(channel);
  }
  std::string dead_letters() { return io_.files()["dead"]; }
  void expect_identity(std::string_view channel = "c") {
    const LaneCounters& c = counters(channel);
    EXPECT_EQ(c.created.get(), c.sent.get() + c.dead_total() + c.cancelled.get() + c.expired.get() +
                                   c.pending.get());
  }

  tocsin::testing::FakeIo io_;
  flow::Loop loop_{io_, "test"};
  flow::NotificationPool pool_{2000};
  flow::Pacing pacing_;
  CountingOutcomes outcomes_;
  NullLedger ledger_;
  flow::SettlementRange range_;
  std::uint64_t last_id_ = 0;
  std::unique_ptr<DeliverStage> stage_ =
      std::make_unique<DeliverStage>(StageContext{.loop = loop_,
                                                  .log = make_null_log(),
                                                  .pool = pool_,
                                                  .pacing = pacing_,
                                                  .outcomes = outcomes_,
                                                  .hub = nullptr,
                                                  .print = {},
                                                  .dead_letters_path = "dead",
                                                  .dead_letters_bytes_max = 2000,
                                                  .types = fake_types});
};

// Goal: a delivered notification ends as sent, settles its range, and goes back to the pool.
TEST_F(DeliverStageTest, DeliversAndSettles) {
  set({config("c")});
  post("c", "alice");
  turn();
  ASSERT_EQ(fake_world.submitted.size(), 1U);
  EXPECT_EQ(fake_world.submitted[0].recipient, "alice");
  EXPECT_EQ(counters().pending.get(), 1U);
  EXPECT_EQ(counters().inflight.get(), 1U);
  answer();
  EXPECT_EQ(counters().sent.get(), 1U);
  EXPECT_EQ(counters().pending.get(), 0U);
  EXPECT_EQ(counters().delivery.count(), 1U);
  EXPECT_EQ(range_.outstanding.load(), 1U);
  EXPECT_EQ(pool_.in_use(), 0U);
  ASSERT_EQ(outcomes_.ends.size(), 1U);
  EXPECT_EQ(outcomes_.ends[0].outcome, flow::Outcome::sent);
}

// Goal: a transient failure is retried by the schedule with the same id, then becomes a dead letter
// that a person can read.
TEST_F(DeliverStageTest, RetriesThenDeadLetter) {
  set({config("c")});
  post("c", "alice");
  turn();
  for (const Duration wait : {seconds{60}, seconds{300}}) {
    answer(transient_failure());
    advance(wait - milliseconds{1});
    EXPECT_TRUE(fake_world.submitted.empty());
    advance(milliseconds{1});
    ASSERT_EQ(fake_world.submitted.size(), 1U);
    EXPECT_EQ(fake_world.submitted[0].ids.front().lo, 1U);
  }
  Attempt last = transient_failure();
  last.detail = "peer said \"no\"\n";
  answer(last);
  EXPECT_EQ(counters().dead[static_cast<std::size_t>(DeliveryError::exhausted)].get(), 1U);
  EXPECT_EQ(counters().attempts[static_cast<std::size_t>(Verdict::transient)].get(), 3U);
  EXPECT_EQ(outcomes_.ends.at(0).attempts, 3U);
  turn(2);
  const std::string text = dead_letters();
  EXPECT_NE(text.find(R"("reason":"exhausted","detail":"reset: peer said \"no\"\n")"), text.npos)
      << text;
  EXPECT_NE(text.find(R"("attempts":3)"), text.npos) << text;
  EXPECT_NE(text.find(R"("recipient":"alice","subject":"s","body":"body"})"), text.npos) << text;
  expect_identity();
}

// Goal: what cannot succeed is not tried again.
TEST_F(DeliverStageTest, PermanentAndAuthDieAtOnce) {
  set({config("c")});
  post("c", "a");
  post("c", "b");
  turn();
  answer({.verdict = Verdict::permanent, .error = DeliveryError::status_client});
  answer({.verdict = Verdict::auth, .error = DeliveryError::status_client});
  EXPECT_EQ(counters().dead[static_cast<std::size_t>(DeliveryError::status_client)].get(), 1U);
  EXPECT_EQ(counters().dead[static_cast<std::size_t>(DeliveryError::auth)].get(), 1U);
  EXPECT_EQ(counters().pending.get(), 0U);
}

// Goal: a stuck receiver fills only its own lane; beyond queue_max notifications become dead
// letters, and another lane goes on.
TEST_F(DeliverStageTest, OverflowStaysInItsLane) {
  OptionValues small = delivery(1, 1);
  small.set_number("queue_max", 3);
  set({config("c", small), config("other")});
  for (int i = 0; i < 5; ++i) post("c", "a");
  post("other", "b");
  turn();
  EXPECT_EQ(counters().dead[static_cast<std::size_t>(DeliveryError::overflow)].get(), 2U);
  EXPECT_EQ(counters().pending.get(), 3U);
  ASSERT_EQ(fake_world.submitted.size(), 2U);
  EXPECT_EQ(fake_world.submitted[1].recipient, "b");
  expect_identity();
  while (!fake_world.submitted.empty()) {
    answer();
    turn();
  }
  EXPECT_EQ(counters().sent.get(), 3U);
}

// Goal: inflight_max bounds the attempts, busy costs none, and both resume.
TEST_F(DeliverStageTest, ConcurrencyAndBusy) {
  set({config("c", delivery(1, 2))});
  for (int i = 0; i < 3; ++i) post("c", "a");
  turn();
  EXPECT_EQ(fake_world.submitted.size(), 2U);
  fake_world.busy = true;
  answer();
  turn();
  EXPECT_EQ(fake_world.submitted.size(), 1U);
  fake_world.busy = false;
  answer();
  advance(milliseconds{20});
  ASSERT_EQ(fake_world.submitted.size(), 1U);
  answer();
  EXPECT_EQ(counters().sent.get(), 3U);
  EXPECT_EQ(outcomes_.ends.back().attempts, 1U);
}

// Goal: one message carries many notifications, and fails and succeeds as a whole.
TEST_F(DeliverStageTest, BatchIsRetriedWhole) {
  OptionValues batched = delivery(10);
  batched.set_number("linger_ms", 100);
  set({config("c", batched)});
  for (int i = 0; i < 3; ++i) post("c", "a");
  turn();
  EXPECT_TRUE(fake_world.submitted.empty());
  advance(milliseconds{100});
  ASSERT_EQ(fake_world.submitted.size(), 1U);
  const auto ids = fake_world.submitted[0].ids;
  EXPECT_EQ(ids.size(), 3U);
  answer(transient_failure());
  advance(seconds{60});
  ASSERT_EQ(fake_world.submitted.size(), 1U);
  EXPECT_EQ(fake_world.submitted[0].ids, ids);
  answer();
  EXPECT_EQ(counters().sent.get(), 3U);
  EXPECT_EQ(counters().attempts[static_cast<std::size_t>(Verdict::delivered)].get(), 1U);
}

// Goal: what is too old is not sent: neither from the queue nor after a retry.
TEST_F(DeliverStageTest, Expires) {
  OptionValues values = delivery(1, 1);
  values.set_number("expiry", 90'000);
  set({config("c", values)});
  post("c", "a");
  post("c", "b");
  turn();
  advance(seconds{50});
  answer(transient_failure());
  EXPECT_EQ(counters().expired.get(), 1U) << "its retry would come after its expiry";
  turn();
  answer(transient_failure());
  post("c", "c");
  post("c", "d");
  turn();
  advance(seconds{90});
  answer();
  turn();
  EXPECT_TRUE(fake_world.submitted.empty());
  EXPECT_EQ(counters().expired.get(), 3U);
  EXPECT_EQ(counters().sent.get(), 1U);
  expect_identity();
}

// Goal: a reload keeps unchanged lanes, moves a changed lane's queue to a new channel while its
// attempt finishes on the old one, and cancels what a removed channel had pending.
TEST_F(DeliverStageTest, Reload) {
  set({config("same", delivery(1, 1)), config("changed", delivery(1, 1)),
       config("gone", delivery(1, 1))});
  for (const char* name : {"same", "changed", "gone"}) {
    post(name, "first");
    post(name, "second");
  }
  turn();
  ASSERT_EQ(fake_world.submitted.size(), 3U);
  EXPECT_EQ(fake_world.made, 3);
  set({config("same", delivery(1, 1)), config("changed", delivery(1, 1), "2")});
  EXPECT_EQ(fake_world.made, 4);
  EXPECT_EQ(counters("gone").cancelled.get(), 1U);
  turn();
  ASSERT_EQ(fake_world.submitted.size(), 4U);
  EXPECT_EQ(fake_world.submitted[3].channel_tag, "2");
  EXPECT_EQ(fake_world.destroyed, 0) << "attempts are still under way";
  for (int i = 0; i < 3; ++i) {  // By name: changed, gone, same.
    const bool gone = i == 1;
    answer(gone ? transient_failure() : Attempt{});
  }
  answer();
  turn(2);
  while (!fake_world.submitted.empty()) answer();
  turn(2);
  EXPECT_EQ(fake_world.destroyed, 2);
  EXPECT_EQ(counters("gone").cancelled.get() + counters("gone").sent.get(), 2U);
  EXPECT_EQ(counters("changed").sent.get() + counters("changed").pending.get(), 2U);
  post("gone", "late");
  turn();
  for (const char* name : {"same", "changed", "gone"}) expect_identity(name);
  io_.advance(seconds{60});
  turn();
  while (!fake_world.submitted.empty()) answer();
}

// Goal: what was collected for messages of many is sent one by one when a reload says so, in order;
// each is accounted for, also when the first attempts had failed.
TEST_F(DeliverStageTest, ReloadToSingleMessages) {
  for (const bool tried : {false, true}) {
    fake_world = {};
    set({config("c", delivery(3, 1), tried ? "a" : "b")});
    fake_world.busy = !tried;
    for (int i = 0; i < 3; ++i) post("c", "alice");
    turn();
    if (tried) {
      ASSERT_EQ(fake_world.submitted.size(), 1U);
      EXPECT_EQ(fake_world.submitted[0].ids.size(), 3U);
      answer(transient_failure());
    }
    fake_world.busy = false;
    set({config("c", delivery(1, 1), tried ? "c" : "d")});
    advance(seconds{60});
    turn(2);
    const std::uint64_t first = last_id_ - 2;
    for (std::uint64_t id = first; id <= last_id_; ++id) {
      ASSERT_EQ(fake_world.submitted.size(), 1U);
      ASSERT_EQ(fake_world.submitted[0].ids.size(), 1U);
      EXPECT_EQ(fake_world.submitted[0].ids[0].lo, id);
      answer();
      turn();
    }
    EXPECT_EQ(counters().sent.get(), last_id_);
    EXPECT_EQ(counters().pending.get(), 0U);
  }
}

// Goal: a changed channel opens only when its predecessor is closed, so that two never connect as
// the same client; a predecessor that does not end holds it up for a few seconds, not for ever; one
// that is replaced before it was opened never opens.
TEST_F(DeliverStageTest, OneChannelIsOpenAtATime) {
  set({config("c", delivery(1, 1))});
  post("c", "first");
  turn();
  EXPECT_EQ(fake_world.opened, 1);
  fake_world.answers_close = false;
  set({config("c", delivery(1, 1), "2")});
  turn(2);
  EXPECT_EQ(fake_world.opened, 1) << "an attempt is under way";
  answer();
  turn(2);
  EXPECT_EQ(fake_world.closed, 1);
  EXPECT_EQ(fake_world.opened, 1) << "the old one is not closed yet";
  fake_world.answers_close = true;
  turn(2);
  EXPECT_EQ(fake_world.opened, 2);

  fake_world.answers_close = false;
  set({config("c", delivery(1, 1), "3")});
  turn(2);
  set({config("c", delivery(1, 1), "4")});
  turn(2);
  EXPECT_EQ(fake_world.closed, 3);
  EXPECT_EQ(fake_world.opened, 2);
  advance(seconds{5});
  turn(2);
  EXPECT_EQ(fake_world.opened, 3);
  fake_world.answers_close = true;
  turn(2);
}

// Goal: a message keeps its notifications, and so the id that is made of theirs, over everything
// that repeats it: a failure, more notifications for the same recipient, a reload with other
// limits, and an attempt that the reload interrupted, whose message the peer may know already.
TEST_F(DeliverStageTest, ARepeatedMessageKeepsItsNotifications) {
  OptionValues values = delivery(2, 1);
  values.set_number("linger_ms", 6000);
  values.set_number("expiry", 100'000);
  set({config("c", values)});
  const auto ids = [] {
    std::vector<std::uint64_t> made;
    for (const NotificationId& id : fake_world.submitted.at(0).ids) made.push_back(id.lo);
    return made;
  };
  const std::vector<std::uint64_t> both{1, 2};
  post("c", "a");
  advance(seconds{5});
  post("c", "a");
  turn();
  EXPECT_EQ(ids(), both);
  post("c", "a");
  answer(transient_failure());
  set({config("c", delivery(5, 1), "2")});
  turn(2);
  advance(seconds{60});
  while (ids() != both) {
    answer();
    turn();
    ASSERT_FALSE(fake_world.submitted.empty());
  }
  answer();
  set({config("c", values, "3")});
  turn(2);
  post("c", "b");
  advance(seconds{5});
  post("c", "b");
  turn();
  EXPECT_EQ(ids(), (std::vector<std::uint64_t>{4, 5}));
  fake_world.busy = true;
  set({config("c", values, "4")});
  answer({.verdict = Verdict::transient, .error = DeliveryError::shutdown});
  turn(2);
  advance(seconds{96});  // The first one's time is over, the second one's is not.
  fake_world.busy = false;
  advance(seconds{1});
  EXPECT_TRUE(fake_world.submitted.empty()) << "half a message, under another id";
  EXPECT_EQ(counters().expired.get(), 2U);
  expect_identity();
}

// Goal: a configuration that is refused changes nothing and leaks nothing.
TEST_F(DeliverStageTest, RefusedReloadChangesNothing) {
  set({config("c")});
  OptionValues bad = delivery();
  bad.set_text("retry_schedule", "soon");
  const auto refused = stage_->set_channels({config("new"), config("c", bad)});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("channel \"c\": retry_schedule"), std::string::npos);
  ASSERT_FALSE(stage_->set_channels({config("x"), config("x")}));
  fake_world.refuse_make = true;
  ASSERT_FALSE(stage_->set_channels({config("y")}));
  turn();
  EXPECT_EQ(fake_world.made - fake_world.destroyed, 1);
  post("c", "a");
  turn();
  answer();
  EXPECT_EQ(counters().sent.get(), 1U);
}

// Goal: drain sends what is ready, waits for what is in flight, and leaves retries unsettled so
// that a restart creates them again.
TEST_F(DeliverStageTest, DrainLeavesRetriesUnsettled) {
  set({config("c", delivery(1, 2))});
  for (int i = 0; i < 3; ++i) post("c", "a");
  turn();
  answer(transient_failure());
  stage_->drain(io_.now() + seconds{10});
  turn();
  EXPECT_FALSE(stage_->drained());
  ASSERT_EQ(fake_world.submitted.size(), 2U) << "the queued one is still sent";
  answer();
  answer();
  turn(2);
  EXPECT_TRUE(stage_->drained());
  EXPECT_EQ(counters().sent.get(), 2U);
  EXPECT_EQ(counters().pending.get(), 1U);
  EXPECT_EQ(range_.outstanding.load(), 2U) << "one unsettled, one of the fixture";
  expect_identity();
  stage_.reset();
  EXPECT_EQ(pool_.in_use(), 0U);
}

// Goal: the drain deadline closes channels under their attempts; these stay unsettled.
TEST_F(DeliverStageTest, DrainDeadlineClosesChannels) {
  set({config("c")});
  post("c", "a");
  turn();
  stage_->drain(io_.now() + seconds{1});
  advance(seconds{1});
  EXPECT_EQ(fake_world.closed, 1);
  EXPECT_FALSE(stage_->drained());
  answer({.verdict = Verdict::transient, .error = DeliveryError::shutdown});
  turn();
  EXPECT_TRUE(stage_->drained());
  EXPECT_TRUE(outcomes_.ends.empty());
  stage_.reset();
}

// Goal: a channel that never answers is replaced, and its message is tried again on the new one.
TEST_F(DeliverStageTest, StuckChannelIsRestarted) {
  set({config("c")});
  post("c", "a");
  turn();
  advance(seconds{180});
  EXPECT_EQ(fake_world.closed, 1);
  EXPECT_EQ(fake_world.made, 2);
  EXPECT_EQ(counters().restarts.get(), 1U);
  post("c", "b");
  turn();
  ASSERT_EQ(fake_world.submitted.size(), 2U) << "the new channel works meanwhile";
  answer({.verdict = Verdict::transient, .error = DeliveryError::shutdown});
  answer();
  advance(seconds{60});
  ASSERT_EQ(fake_world.submitted.size(), 1U);
  answer();
  EXPECT_EQ(counters().sent.get(), 2U);
  EXPECT_EQ(fake_world.destroyed, 1);
}

// Goal: the dead-letter file is bounded: it rotates once, and a failing disk is counted.
TEST_F(DeliverStageTest, DeadLettersRotateAndCountLoss) {
  OptionValues none = delivery();
  none.set_number("queue_max", 0);
  set({config("c", none)});
  for (int i = 0; i < 40; ++i) {
    post("c", "a");
    turn(2);
  }
  EXPECT_LE(io_.files()["dead"].size(), 2000U);
  EXPECT_LE(io_.files()["dead.1"].size(), 2000U);
  EXPECT_GT(io_.files()["dead.1"].size(), 1000U);
  io_.write_error = ENOSPC;
  post("c", "a");
  turn(2);
  class Finder final : public MetricSink {
   public:
    void counter(std::string_view name, std::string_view, Labels, std::uint64_t value) override {
      if (name == "tocsin_dead_letters_lost_total") lost = value;
      if (name == "tocsin_dead_letters_dropped_total") dropped = value;
    }
    void gauge(std::string_view, std::string_view, Labels, double) override {}
    void histogram(std::string_view, std::string_view, Labels, const Histogram&) override {}
    std::uint64_t lost = 0;
    std::uint64_t dropped = 0;
  } finder;
  stage_->describe(finder);
  EXPECT_EQ(finder.lost, 1U);
  EXPECT_GT(finder.dropped, 0U);
}

// Goal: after a crash in the middle of a line, the next dead letter begins a line of its own.
TEST_F(DeliverStageTest, DeadLettersRepairTornLine) {
  io_.files()["dead"] = "{\"torn\":";
  OptionValues none = delivery();
  none.set_number("queue_max", 0);
  set({config("c", none)});
  post("c", "a");
  turn(2);
  EXPECT_TRUE(dead_letters().starts_with("{\"torn\":\n{\"id\":")) << dead_letters();
}

// Goal: created = sent + dead + cancelled + expired + pending at every moment, and each
// notification ends exactly once.
// Method: seeded random operations (posts, answers of every kind, reloads, time), checked each
// step.
TEST_F(DeliverStageTest, AccountingIdentityHoldsUnderRandomOperations) {
  std::mt19937 random(20240607);
  OptionValues values = delivery(3, 4);
  values.set_number("queue_max", 20);
  values.set_number("expiry", 400'000);
  values.set_number("linger_ms", 50);
  set({config("c", values), config("d", values)});
  for (int step = 0; step < 3000; ++step) {
    const auto dice = random() % 100;
    if (dice < 50) {
      post(random() % 2 == 0 ? "c" : "d", std::to_string(random() % 4),
           static_cast<Priority>(random() % 4));
    } else if (dice < 80 && !fake_world.submitted.empty()) {
      const auto verdict = static_cast<Verdict>(random() % verdict_count);
      answer({.verdict = verdict,
              .error = verdict == Verdict::delivered ? DeliveryError::none : DeliveryError::reset});
    } else if (dice < 95) {
      io_.advance(milliseconds{static_cast<std::int64_t>(random() % 60000)});
    } else if (dice < 98) {
      fake_world.busy = !fake_world.busy;
    } else {
      std::vector<flow::ChannelConfig> configs{config("c", values, std::to_string(random() % 3))};
      if (random() % 2 == 0) configs.push_back(config("d", values));
      set(configs);
    }
    if (random() % 3 != 0) turn();
    expect_identity("c");
    expect_identity("d");
  }
  fake_world.busy = false;
  for (int i = 0; i < 2000 && pool_.in_use() > 0; ++i) {
    while (!fake_world.submitted.empty()) answer();
    advance(seconds{10});
  }
  EXPECT_EQ(counters("c").pending.get() + counters("d").pending.get(), 0U);
  std::set<std::uint64_t> ended;
  for (const auto& end : outcomes_.ends) EXPECT_TRUE(ended.insert(end.id.lo).second);
  EXPECT_EQ(ended.size(), last_id_);
  EXPECT_EQ(range_.outstanding.load(), 1U);
}

}  // namespace
}  // namespace tocsin::deliver
