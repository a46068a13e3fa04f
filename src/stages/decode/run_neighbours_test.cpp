// Goal: payloads that wait to be looked into together get along with everything around them: the
// counters, the pool, a body that is being read, and the topics that are remembered.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "stages/decode/run_fixture_test.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;
using flow::Taken;
using namespace test;

struct Counters final : MetricSink {
  std::map<std::string, std::uint64_t> values;
  std::uint64_t refused = 0;
  void counter(std::string_view name, std::string_view, Labels labels,
               std::uint64_t value) override {
    std::string key(name);
    for (const auto& [label, text] : labels) key += ' ' + std::string(text);
    values[key] = value;
    if (name == "tocsin_events_refused_total") refused += value;
  }
  void gauge(std::string_view, std::string_view, Labels, double) override {}
  void histogram(std::string_view, std::string_view, Labels, const Histogram&) override {}
};

struct Listener final : flow::Intake::ReadyListener {
  int calls = 0;
  void on_ready() noexcept override { ++calls; }
};

TEST_F(RunTest, EachEventIsCountedOnce) {
  learn(telemetry);
  Counters before;
  rig_.stage.describe(before);
  for (const Bad& bad : bad_payloads()) {
    ASSERT_EQ(take(bad.text, 0), Taken::yes);
    ASSERT_EQ(take("{}", 0), Taken::yes);
  }
  ASSERT_TRUE(add("{}", 0).has_value());
  ASSERT_FALSE(add("{", 0).has_value());
  settle();
  Counters after;
  rig_.stage.describe(after);
  const auto grown = [&](const char* name) { return after.values[name] - before.values[name]; };
  const std::uint64_t bad = bad_payloads().size();
  EXPECT_EQ(grown("tocsin_events_received_total"), 2 * bad + 2);
  EXPECT_EQ(grown("tocsin_events_decoded_total"), bad + 1);
  EXPECT_EQ(grown("tocsin_events_acknowledged_total"), bad + 1);
  EXPECT_EQ(after.refused - before.refused, bad + 1);
  EXPECT_EQ(grown("tocsin_events_refused_total json_number"), 2U);
  EXPECT_EQ(grown("tocsin_events_refused_total empty"), 2U);
  EXPECT_EQ(grown("tocsin_events_refused_total json_depth"), 1U);
  EXPECT_EQ(grown("tocsin_events_turned_away_total"), 0U);
}

TEST_F(RunTest, AnExhaustedPoolTurnsAwayAndSaysWhenToComeBack) {
  learn(telemetry);
  Listener listener;
  rig_.stage.add_ready_listener(listener);
  ASSERT_TRUE(rig_.stage.ready());
  std::uint32_t taken = 0;
  Taken answer = Taken::yes;
  while ((answer = take(std::to_string(taken), taken)) == Taken::yes) ++taken;
  EXPECT_EQ(answer, Taken::no_room);
  EXPECT_EQ(taken % batch_records_max, 0U);
  Counters counters;
  rig_.stage.describe(counters);
  EXPECT_EQ(counters.values["tocsin_events_turned_away_total"], 1U);
  rig_.loop.turn(rig_.loop.now());
  EXPECT_EQ(listener.calls, 0);
  read(*rig_.sink.batches.front());
  rig_.commit();
  rig_.loop.turn(rig_.loop.now());
  rig_.loop.turn(rig_.loop.now());
  EXPECT_EQ(listener.calls, 1);
  ASSERT_EQ(take(std::to_string(taken), taken), Taken::yes);
  settle();
  ASSERT_EQ(stored().size(), taken + 1);
  for (std::uint32_t i = 0; i <= taken; ++i) ASSERT_EQ(stored()[i], std::to_string(i));
}

struct Verdicts final : flow::EntryVerdicts {
  std::vector<std::string> seen;
  flow::AckToken token(std::uint32_t) noexcept override { return {}; }
  void on_entry(std::uint32_t, const DecodeStage::Outcome& verdict) noexcept override {
    seen.emplace_back(verdict ? verdict->data : to_string(verdict.error().reason));
  }
};

// Goal: a run that is checked while a body is half read leaves the body's indexes alone. Method:
// the first entry ends the run, whose payloads have tokens at other places than the body.
TEST_F(RunTest, MayBePendingWhileABodyIsRead) {
  learn(telemetry);
  for (const bool bad : {false, true}) {
    forget();
    for (std::uint64_t i = 0; i < 20; ++i) {
      ASSERT_EQ(take(R"([[[],[],{},{"a":[1,2,3]}],0,0,0,0,0,0,0,0,0])", i), Taken::yes);
    }
    EXPECT_EQ(take(bad ? "[[[[[" : "0", 20), Taken::yes);
    const Padded body(
        R"([{"event":"order_created","payload":{"n":[1]}},{"payload":2,"event":"order_created"},)"
        R"(5, {"event":"order_created","payload":"three"}])");
    flow::RawEvent event;
    event.envelope = flow::Envelope::api;
    event.payload = body.view();
    Verdicts verdicts;
    const auto count = rig_.stage.add_all(event, flow::BatchForm::array, verdicts);
    ASSERT_TRUE(count.has_value());
    EXPECT_EQ(*count, 4U);
    EXPECT_EQ(verdicts.seen,
              (std::vector<std::string>{R"({"n":[1]})", "2", "envelope", "\"three\""}));
    EXPECT_EQ(refusals_.all.size(), bad ? 1U : 0U);
    settle();
    ASSERT_EQ(stored().size(), bad ? 23U : 24U);
    EXPECT_EQ(*(stored().end() - 3), R"({"n":[1]})");
    EXPECT_EQ(stored().back(), "\"three\"");
  }
}

TEST_F(RunTest, WhatIsUnusualIsLeftToTheLongWay) {
  EXPECT_EQ(take("{}", 0), Taken::unusual) << "a topic that nobody published to before";
  learn(telemetry);
  EXPECT_EQ(take("{}", 0), Taken::yes);
  EXPECT_EQ(take("", 0), Taken::unusual);
  EXPECT_EQ(take("{}", 0, "devices/d/telemetry/other"), Taken::unusual);
  EXPECT_EQ(take("{}", 0, "devices/d/telemetry"), Taken::unusual);
  EXPECT_EQ(take("{}", 0, ""), Taken::unusual);
  settle();
  auto sources = test::sources();
  rig_.stage.set_sources(*flow::SourceTable::build(sources));
  EXPECT_EQ(take("{}", 0), Taken::unusual) << "sources may mean something else now";
  learn(telemetry);
  EXPECT_EQ(take("{}", 0), Taken::yes);
  sources[0].rate = 100;
  rig_.stage.set_sources(*flow::SourceTable::build(sources));
  learn(telemetry);
  EXPECT_EQ(take("{}", 0), Taken::unusual) << "each event is charged to the source";
}

// Method: more topics than are remembered, so that places are taken over, and some of them taken
// turns with, each event carrying which topic it was sent to.
TEST_F(RunTest, TopicsThatShareAPlaceAreKeptApart) {
  std::size_t usual = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2000; ++i) {
      const int n = i % 3 == 0 ? 0 : i;
      const std::string topic = "devices/d" + std::to_string(n) + "/telemetry/k";
      const std::string text = std::to_string(n);
      const Taken taken = take(text, 0, topic);
      ASSERT_NE(taken, Taken::no_room);
      usual += taken == Taken::yes ? 1 : 0;
      ASSERT_TRUE(taken == Taken::yes || add(text, 0, topic).has_value());
      if (!rig_.sink.batches.empty()) {
        const auto block = rig_.sink.batches.front()->view();
        for (std::uint32_t r = 0; r < block.size(); ++r) {
          ASSERT_EQ(block.record(r).extension("device"),
                    "d" + std::string(block.record(r).payload()));
        }
        settle();
      }
    }
  }
  EXPECT_GT(usual, 2000U);
}

}  // namespace
}  // namespace tocsin::decode
