// Goal: payloads that are looked into together are judged as if each had come alone: the bad ones
// are refused with their reason and token, the others are stored byte for byte and in order,
// however the run of them ends.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "stages/decode/run_fixture_test.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;
using flow::Taken;
using namespace test;

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

// Goal: known shapes, unknown ones and what is refused among them: each record keeps its own.
// Method: the fixture compares what a batch says of its documents with what stands in them.
TEST_F(RunTest, KnownShapesStayWithTheirRecords) {
  learn(telemetry);
  std::uint32_t known = 0;
  std::vector<std::string> wanted;
  std::size_t bad = 0;
  for (std::uint64_t i = 0; i < 40 * run_records_max; ++i) {
    const std::string number = std::to_string(i * 7919);
    std::string text = R"({"v":)" + number + R"(,"k":")" + number + "\"}";
    if (i % 3 == 0) text = R"({"list":[)" + number + R"(,true,"x"],"v":)" + number + "}";
    if (i % 50 == 0) text = "{\"key" + number + "\":1}";
    if (i % 64 == 63) text = R"({"v":0)" + number + R"(,"k":"x"})";
    if (i % 64 == 63) {
      ++bad;
    } else {
      wanted.push_back(text);
    }
    ASSERT_EQ(take(text, i), Taken::yes);
    if (i % 10 == 0) {
      ASSERT_TRUE(add(R"({"v":1,"k":"2"})", i).has_value());
      wanted.emplace_back(R"({"v":1,"k":"2"})");
    }
    if (i % 512 != 511) continue;
    rig_.loop.turn(rig_.loop.now());
    for (const flow::Batch* batch : rig_.sink.batches) known += batch->shapes().count;
    settle();
  }
  EXPECT_EQ(refusals_.all.size(), bad);
  EXPECT_EQ(stored(), wanted);
  EXPECT_GT(known, 30 * run_records_max) << "most of them";
}

// Goal: a table of shapes that ends between two payloads of one run takes nothing with it.
// Method: as many forms as there is room for, then runs of old ones and ever new ones.
TEST_F(RunTest, ShapesThatAreReplacedStayWithTheirRecords) {
  learn(telemetry);
  std::size_t wanted = 0;
  const auto keyed = [](std::uint64_t i) { return R"({"key)" + std::to_string(i) + R"(":12})"; };
  for (std::uint64_t i = 0; i < 4 * json::shapes_max; ++i) {
    ASSERT_EQ(take(keyed(i), i), Taken::yes);
    ASSERT_EQ(take(keyed(7), i), Taken::yes);
    wanted += 2;
    settle();
  }
  for (std::uint64_t i = 1000; i < 6000; ++i) {
    ASSERT_EQ(take(keyed(7), i), Taken::yes);
    ASSERT_EQ(take(R"({"b":2,)" + keyed(i).substr(1), i), Taken::yes);
    wanted += 2;
    if (i % 3 == 0) settle();
  }
  settle();
  EXPECT_TRUE(refusals_.all.empty());
  EXPECT_EQ(stored().size(), wanted);
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

}  // namespace
}  // namespace tocsin::decode
