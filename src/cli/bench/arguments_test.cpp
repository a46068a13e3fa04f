#include "cli/bench/arguments.hpp"

#include <gtest/gtest.h>

namespace tocsin::cli::bench {
namespace {

// Goal: sweeps make every combination, each with its name.
TEST(BenchSweep, Combines) {
  const auto first = parse_sweep("connections=1,16");
  const auto second = parse_sweep("qos=0,1");
  ASSERT_TRUE(first.has_value() && second.has_value());
  const auto points = combine({}, {*first, *second});
  ASSERT_EQ(points.size(), 4U);
  EXPECT_EQ(points[1].name, "connections=1 qos=1");
  EXPECT_EQ(points[1].arguments.qos, 1U);
  EXPECT_EQ(points[2].arguments.connections, 16U);
  EXPECT_EQ(points[2].arguments.qos, 0U);
  EXPECT_EQ(combine({}, {}).size(), 1U);
}

// Goal: what is no sweep is refused with a sentence.
TEST(BenchSweep, RefusesNonsense) {
  for (const auto* text : {"", "connections", "colour=1", "qos=3", "qos=", "qos=1,", "qos=1,x",
                           "connections=0", "connections=1 2", "rules=-1"}) {
    const auto sweep = parse_sweep(text);
    ASSERT_FALSE(sweep.has_value()) << text;
    EXPECT_NE(sweep.error().find("--sweep"), std::string::npos);
  }
}

Arguments aimed() {
  Arguments arguments;
  arguments.mqtt = "127.0.0.1:1";
  return arguments;
}

// Goal: the plan is what the arguments say; only a search has a latency goal.
TEST(BenchArguments, MakesAPlan) {
  Arguments arguments = aimed();
  arguments.payload_size = 300;
  arguments.mqtt_version = "3.1.1";
  arguments.warm_up_s = 0.5;
  auto plan = make_plan(arguments);
  ASSERT_TRUE(plan.has_value()) << plan.error();
  EXPECT_EQ(plan->payloads.size(), 8U);
  EXPECT_EQ(plan->payloads.front().text.size(), 300U);
  EXPECT_EQ(plan->version, mqtt::Version::v3_1_1);
  EXPECT_EQ(plan->warm_up, std::chrono::milliseconds(500));
  EXPECT_EQ(plan->goal, Duration{});
  arguments.find_rate = true;
  plan = make_plan(arguments);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->goal, std::chrono::milliseconds(10));
}

TEST(BenchArguments, RefusesWhatCannotRun) {
  Arguments both = aimed();
  both.http = "127.0.0.1:2";
  Arguments threads = aimed();
  threads.threads = 17;
  Arguments topic = aimed();
  topic.topic = "a/#";
  for (const Arguments& arguments : {Arguments{}, both, threads, topic}) {
    EXPECT_FALSE(make_plan(arguments).has_value());
  }
}

}  // namespace
}  // namespace tocsin::cli::bench
