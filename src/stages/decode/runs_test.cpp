// Goal: payloads that are looked into together are judged as if each had come alone: the bad ones
// are refused with their reason and token, the others are stored byte for byte and in order,
// however the run of them ends.
#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "stages/decode/test_rig.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;
using flow::Taken;
using test::Padded;
using test::Rig;

constexpr std::string_view telemetry = "devices/d/telemetry/k";

struct Acks final : flow::AckSink {
  std::vector<std::uint64_t> stored;
  void on_ack(const flow::AckToken& token, bool ok) noexcept override {
    EXPECT_TRUE(ok);
    stored.push_back(token.detail);
  }
};

struct Refusals final : flow::RefusalSink {
  struct One {
    std::uint64_t detail = 0;
    Refusal reason{};
    bool operator==(const One&) const = default;
    friend void PrintTo(const One& one, std::ostream* out) {
      *out << one.detail << ' ' << to_string(one.reason);
    }
  };
  std::vector<One> all;
  std::vector<std::string> texts;
  void on_refused(const flow::AckToken& token, const flow::Rejection& rejection) noexcept override {
    EXPECT_EQ(token.slot, 7U);
    EXPECT_EQ(token.generation, 9U);
    all.push_back({token.detail, rejection.reason});
    texts.emplace_back(rejection.detail);
  }
};

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

struct Bad {
  std::string text;
  Refusal reason;
};

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

// Each of them could reach into what follows it, if anything but the newline ended it.
std::vector<Bad> bad_payloads() {
  return {{"{", Refusal::json_syntax},
          {"[1,", Refusal::json_syntax},
          {"2]", Refusal::json_syntax},
          {"}", Refusal::json_syntax},
          {"\"open", Refusal::json_syntax},
          {"\"", Refusal::json_syntax},
          {"{\"a\":\"b\\\"", Refusal::json_syntax},
          {"{\"a\":1}\\", Refusal::json_syntax},
          {"\"a\\", Refusal::json_syntax},
          {"\\", Refusal::json_syntax},
          {"\"\\x\"", Refusal::json_syntax},
          {"{}{}", Refusal::json_syntax},
          {"1 2", Refusal::json_syntax},
          {"1\n2", Refusal::json_syntax},
          {"01", Refusal::json_syntax},
          {"tru", Refusal::json_syntax},
          {"\"a\nb\"", Refusal::json_syntax},
          {std::string("{}\0", 3), Refusal::json_syntax},
          {"   ", Refusal::empty},
          {"\n", Refusal::empty},
          {"\"\xC3\x28\"", Refusal::json_utf8},
          {"\"\xE2\x82\"", Refusal::json_utf8},
          {"\xFF", Refusal::json_utf8},
          {nested(200), Refusal::json_depth},
          {"1e999", Refusal::json_number},
          {"[18446744073709551616]", Refusal::json_number}};
}

// All valid, some as people write them.
std::vector<std::string> good_payloads() {
  return {R"({"v":1})",
          "{\n  \"v\": [\n    1,\r\n    2\n  ]\n}\n",
          "5",
          "-0.25",
          " true ",
          "null",
          R"("a \"quoted\" \\")",
          "[]",
          "{\"deep\":" + nested(60) + "}",
          "12345678901234567890"};
}

class RunTest : public ::testing::Test {
 protected:
  // From here on the topic is known; nothing is left open.
  void learn(std::string_view topic) {
    ASSERT_TRUE(add("{}", 1000, topic).has_value());
    settle();
    forget();
  }
  DecodeStage::Outcome add(std::string_view text, std::uint64_t detail,
                           std::string_view topic = telemetry) {
    const Padded payload(text);
    flow::RawEvent event;
    event.envelope = flow::Envelope::device;
    event.payload = payload.view();
    event.topic = topic;
    return rig_.stage.add(event, {&acks_, 7, 9, detail});
  }
  Taken take(std::string_view text, std::uint64_t detail, std::string_view topic = telemetry,
             bool wanted_ack = true) {
    // Nothing keeps the bytes after the call.
    const Padded payload(text);
    const auto qos = static_cast<std::uint8_t>(wanted_ack ? 1 : 0);
    return rig_.stage.take({.topic = topic, .payload = payload.view(), .qos = qos},
                           {wanted_ack ? &acks_ : nullptr, 7, 9, detail}, refusals_);
  }
  // Ends the turn; what was sealed is checked, kept as text and comes back from the journal.
  void settle() {
    rig_.loop.turn(rig_.loop.now());
    while (!rig_.sink.batches.empty()) {
      read(*rig_.sink.batches.front());
      rig_.commit();
      rig_.loop.turn(rig_.loop.now());
    }
  }
  void read(flow::Batch& batch) {
    batch.assign(1, 1);
    const auto block = flow::BlockView::parse(batch.block());
    ASSERT_TRUE(block.has_value());
    EXPECT_EQ(batch.acks().size(), block->size());
    for (std::uint32_t i = 0; i < block->size(); ++i) {
      EXPECT_TRUE(block->record_intact(i)) << i;
      EXPECT_EQ(block->record(i).attribute(AttributeTag::event_source).empty(), false);
      EXPECT_EQ(block->record(i).payload().end()[0], '\n');
      records_[batch.level()].emplace_back(block->record(i).payload());
    }
  }
  [[nodiscard]] const std::vector<std::string>& stored() { return records_[Level::stored]; }
  void forget() {
    records_.clear();
    refusals_.all.clear();
    refusals_.texts.clear();
    acks_.stored.clear();
  }

  Rig rig_{4};
  Acks acks_;
  Refusals refusals_;
  std::map<Level, std::vector<std::string>> records_;
};

// Method: runs of five in which every subset is bad, the bad ones of another kind each time.
TEST_F(RunTest, BadPayloadsAnywhereAreTakenOut) {
  learn(telemetry);
  const auto bad = bad_payloads();
  const auto good = good_payloads();
  std::size_t next_bad = 0;
  std::size_t next_good = 0;
  for (int repeat = 0; repeat < 4; ++repeat) {
    for (unsigned subset = 0; subset < 32; ++subset) {
      SCOPED_TRACE(subset);
      forget();
      std::vector<std::string> wanted;
      std::vector<std::uint64_t> wanted_acks;
      std::vector<Refusals::One> wanted_refusals;
      for (unsigned i = 0; i < 5; ++i) {
        if ((subset >> i & 1U) != 0) {
          const Bad& one = bad[next_bad++ % bad.size()];
          ASSERT_EQ(take(one.text, i), Taken::yes);
          wanted_refusals.push_back({i, one.reason});
        } else {
          wanted.push_back(good[next_good++ % good.size()]);
          ASSERT_EQ(take(wanted.back(), i), Taken::yes);
          wanted_acks.push_back(i);
        }
      }
      EXPECT_TRUE(refusals_.all.empty()) << "the turn goes on";
      settle();
      EXPECT_EQ(refusals_.all, wanted_refusals);
      EXPECT_EQ(stored(), wanted);
      EXPECT_EQ(acks_.stored, wanted_acks);
      EXPECT_TRUE(rig_.stage.idle());
    }
  }
}

// Goal: whichever way a payload comes in, its verdict is the same, the text for people included.
TEST_F(RunTest, VerdictsAreThoseOfPayloadsAlone) {
  learn(telemetry);
  for (const Bad& bad : bad_payloads()) {
    SCOPED_TRACE(bad.text);
    forget();
    const auto alone = add(bad.text, 1);
    ASSERT_FALSE(alone.has_value());
    EXPECT_EQ(alone.error().reason, bad.reason);
    for (const auto& [before, after] : std::vector<std::pair<std::string, std::string>>{
             {"{}", "{}"}, {"\"x\"", "\"x\""}, {"1", "1"}, {"[", "]"}}) {
      forget();
      ASSERT_EQ(take(before, 0), Taken::yes);
      ASSERT_EQ(take(bad.text, 1), Taken::yes);
      ASSERT_EQ(take(after, 2), Taken::yes);
      settle();
      const bool neighbours_bad = before == "[";
      ASSERT_EQ(refusals_.all.size(), neighbours_bad ? 3U : 1U);
      const std::size_t at = neighbours_bad ? 1 : 0;
      EXPECT_EQ(refusals_.all[at], (Refusals::One{1, bad.reason}));
      EXPECT_EQ(refusals_.texts[at], alone.error().detail);
      EXPECT_EQ(stored().size(), neighbours_bad ? 0U : 2U);
    }
  }
  forget();
  for (const std::string& good : good_payloads()) ASSERT_EQ(take(good, 0), Taken::yes);
  settle();
  EXPECT_TRUE(refusals_.all.empty());
  EXPECT_EQ(stored(), good_payloads());
}

TEST_F(RunTest, EndsByCount) {
  learn(telemetry);
  ASSERT_EQ(take("{", 0), Taken::yes);
  for (std::uint32_t i = 1; i < run_records_max - 1; ++i) ASSERT_EQ(take("1", i), Taken::yes);
  EXPECT_TRUE(refusals_.all.empty());
  ASSERT_EQ(take("]", run_records_max - 1), Taken::yes);
  EXPECT_EQ(refusals_.all,
            (std::vector<Refusals::One>{{0, Refusal::json_syntax},
                                        {run_records_max - 1, Refusal::json_syntax}}));
  EXPECT_TRUE(rig_.sink.batches.empty()) << "the batch stays open";
  ASSERT_EQ(take("2", 100), Taken::yes);
  settle();
  EXPECT_EQ(stored().size(), run_records_max - 1);
  EXPECT_EQ(stored().back(), "2");
}

TEST_F(RunTest, EndsByBytes) {
  learn(telemetry);
  const std::string half = '"' + std::string(run_bytes_max / 2 - 3, 'x') + '"';  // And a newline.
  ASSERT_EQ(take(half, 0), Taken::yes);
  ASSERT_EQ(take("x", 1), Taken::yes);
  EXPECT_TRUE(refusals_.all.empty());
  ASSERT_EQ(take(half, 2), Taken::yes);
  EXPECT_EQ(refusals_.all, (std::vector<Refusals::One>{{1, Refusal::json_syntax}}));
  // The longest that comes this way, behind the most that can wait for it: the checker's memory
  // holds both.
  const std::string longest = '"' + std::string(run_bytes_max - 2, 'y') + '"';
  const std::string most = '"' + std::string(run_bytes_max - 4, 'z') + '"';
  ASSERT_EQ(take(most, 3), Taken::yes);
  ASSERT_EQ(take(longest, 4), Taken::yes);
  EXPECT_EQ(take(longest + ' ', 5), Taken::unusual);
  settle();
  EXPECT_EQ(refusals_.all.size(), 1U);
  EXPECT_EQ(stored(), (std::vector<std::string>{half, half, most, longest}));
}

TEST_F(RunTest, EndsWithAFullBatch) {
  learn(telemetry);
  // One that was looked into before, so that the last run is shorter than others.
  ASSERT_TRUE(add("0", 0).has_value());
  for (std::uint32_t i = 1; i < batch_records_max - 1; ++i) ASSERT_EQ(take("1", i), Taken::yes);
  EXPECT_TRUE(rig_.sink.batches.empty());
  ASSERT_EQ(take("{", 5000), Taken::yes);
  EXPECT_EQ(refusals_.all, (std::vector<Refusals::One>{{5000, Refusal::json_syntax}}));
  EXPECT_TRUE(rig_.sink.batches.empty()) << "one place is free again";
  ASSERT_EQ(take("2", 5001), Taken::yes);
  ASSERT_EQ(rig_.sink.batches.size(), 1U) << "before the turn ends";
  EXPECT_EQ(rig_.sink.batches[0]->size(), batch_records_max);
  settle();
  EXPECT_EQ(stored().size(), batch_records_max);
  EXPECT_EQ(stored().back(), "2");
  EXPECT_EQ(acks_.stored.back(), 5001U);
}

TEST_F(RunTest, EndsWithABatchFullOfBytes) {
  learn(telemetry);
  const std::string large = '"' + std::string(run_bytes_max - 100, 'x') + '"';
  const std::string small = '"' + std::string(50, 'y') + '"';
  std::uint64_t taken = 0;
  while (rig_.sink.batches.empty()) {
    ASSERT_EQ(take(small, taken++), Taken::yes);
    ASSERT_EQ(take(taken % 9 == 1 ? "{" : small, taken), Taken::yes);
    ++taken;
    ASSERT_EQ(take(large, taken++), Taken::yes);
    ASSERT_LT(taken, 1000U);
  }
  const std::size_t refused = refusals_.all.size();
  EXPECT_GT(refused, 0U);
  settle();
  EXPECT_EQ(stored().size() + refusals_.all.size(), taken);
  EXPECT_EQ(acks_.stored.size(), stored().size());
}

TEST_F(RunTest, EndsWhereAnEventIsLookedIntoAtOnce) {
  learn(telemetry);
  learn("fast/1");
  ASSERT_EQ(take("{", 0), Taken::yes);
  ASSERT_EQ(take("1", 1), Taken::yes);
  ASSERT_EQ(take("[", 2, "fast/1"), Taken::yes);
  EXPECT_FALSE(add("[1,", 3).has_value());
  EXPECT_TRUE(refusals_.all.empty()) << "it found no way into the batch";
  ASSERT_TRUE(add("3", 4).has_value());
  EXPECT_EQ(refusals_.all, (std::vector<Refusals::One>{{0, Refusal::json_syntax}}));
  ASSERT_EQ(take("4", 5), Taken::yes);
  ASSERT_EQ(take("x", 6), Taken::yes);
  ASSERT_TRUE(add("5", 7).has_value());
  settle();
  EXPECT_EQ(stored(), (std::vector<std::string>{"1", "3", "4", "5"}));
  EXPECT_EQ(acks_.stored, (std::vector<std::uint64_t>{1, 4, 5, 7}));
  EXPECT_EQ(refusals_.all.size(), 3U);
}

TEST_F(RunTest, EndsWithTheServer) {
  learn(telemetry);
  ASSERT_EQ(take("{", 0), Taken::yes);
  ASSERT_EQ(take("1", 1), Taken::yes);
  rig_.stage.drain();
  EXPECT_EQ(take("2", 2), Taken::unusual);
  EXPECT_FALSE(rig_.stage.idle());
  settle();
  EXPECT_EQ(refusals_.all, (std::vector<Refusals::One>{{0, Refusal::json_syntax}}));
  EXPECT_EQ(stored(), (std::vector<std::string>{"1"}));
  EXPECT_TRUE(rig_.stage.idle());
}

TEST_F(RunTest, LevelsHaveRunsOfTheirOwn) {
  learn(telemetry);
  learn("fast/1");
  for (std::uint64_t i = 0; i < 20; ++i) {
    const bool fast = i % 2 == 0;
    const std::string text = i % 5 == 0 ? "{" : std::to_string(i);
    ASSERT_EQ(take(text, i, fast ? "fast/1" : telemetry), Taken::yes);
  }
  settle();
  EXPECT_EQ(stored(), (std::vector<std::string>{"1", "3", "7", "9", "11", "13", "17", "19"}));
  EXPECT_EQ(records_[Level::accepted],
            (std::vector<std::string>{"2", "4", "6", "8", "12", "14", "16", "18"}));
  EXPECT_EQ(refusals_.all.size(), 4U);
}

TEST_F(RunTest, NobodyWaitsForQos0) {
  learn(telemetry);
  ASSERT_EQ(take("1", 0, telemetry, false), Taken::yes);
  ASSERT_EQ(take("x", 1, telemetry, false), Taken::yes);
  ASSERT_EQ(take("2", 2), Taken::yes);
  settle();
  EXPECT_EQ(refusals_.all, (std::vector<Refusals::One>{{1, Refusal::json_syntax}}))
      << "its connection counts it";
  EXPECT_EQ(stored(), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(acks_.stored, (std::vector<std::uint64_t>{2}));
}

TEST_F(RunTest, NothingIsLeftOfARunThatWasAllBad) {
  learn(telemetry);
  for (std::uint64_t i = 0; i < 3 * run_records_max; ++i) ASSERT_EQ(take("{", i), Taken::yes);
  EXPECT_EQ(refusals_.all.size(), 3U * run_records_max);
  rig_.loop.turn(rig_.loop.now());
  EXPECT_TRUE(rig_.sink.batches.empty()) << "the journal wants no empty batch";
  EXPECT_TRUE(rig_.stage.idle());
  // Its room is free again: as many as ever fit.
  for (std::uint32_t i = 0; i < batch_records_max; ++i) ASSERT_EQ(take("1", i), Taken::yes);
  ASSERT_EQ(rig_.sink.batches.size(), 1U);
  EXPECT_EQ(rig_.sink.batches[0]->size(), batch_records_max);
  settle();
}

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
