#include "cli/bench/verdict.hpp"

#include <gtest/gtest.h>

namespace tocsin::cli::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t ns_of(Duration d) { return static_cast<std::uint64_t>(d.count()); }

struct Load {
  Plan plan;
  Summary summary;
};

/// Ten seconds at the rate asked for (or flat out) with these p99s.
void make_run(Load& run, double rate, Duration latency, Duration lateness) {
  run.plan.rate = rate;
  run.plan.goal = 10ms;
  run.summary.elapsed = 10s;
  Tally& tally = run.summary.tally;
  tally.sent = tally.acknowledged = tally.measured = 10'000;
  tally.ack_latency.record(ns_of(latency), 10'000);
  tally.lateness.record(ns_of(lateness), 10'000);
  tally.wall = 10s;
}

// Goal: a goal that is kept by a punctual generator is nobody's limit; broken, it is the server's.
TEST(BenchVerdict, PacedRuns) {
  Load good;
  make_run(good, 1000, 2ms, 50us);
  EXPECT_TRUE(kept(good.summary, good.plan));
  EXPECT_EQ(bound_of(good.summary, good.plan, {}), Bound::none);
  Load slow;
  make_run(slow, 1000, 20ms, 50us);
  EXPECT_FALSE(kept(slow.summary, slow.plan));
  EXPECT_EQ(bound_of(slow.summary, slow.plan, {}), Bound::server);
}

// Goal: a generator that was late is told apart, whether the goal was kept or not.
TEST(BenchVerdict, LateGenerator) {
  for (const Duration latency : {Duration{5ms}, Duration{20ms}}) {
    Load late;
    make_run(late, 1000, latency, 4ms);
    EXPECT_EQ(bound_of(late.summary, late.plan, {}), Bound::generator);
  }
}

// Goal: a rate that was not reached breaks the goal, however short the latencies.
TEST(BenchVerdict, RateNotReached) {
  Load run;
  make_run(run, 2000, 1ms, 10us);
  EXPECT_FALSE(kept(run.summary, run.plan));
}

// Goal: what is lost breaks the goal.
TEST(BenchVerdict, LossBreaksTheGoal) {
  Load run;
  make_run(run, 1000, 1ms, 10us);
  run.summary.tally.refused = 1;
  run.summary.tally.sent += 1;
  EXPECT_FALSE(kept(run.summary, run.plan));
}

// Goal: flat out, who has no processor time left is the limit, the server first where it is known.
TEST(BenchVerdict, FlatOut) {
  Load run;
  make_run(run, 0, 1ms, 0us);
  run.summary.tally.busy = 9800ms;
  EXPECT_EQ(bound_of(run.summary, run.plan, {}), Bound::generator);
  EXPECT_EQ(bound_of(run.summary, run.plan, 0.5), Bound::generator);
  EXPECT_EQ(bound_of(run.summary, run.plan, 0.99), Bound::server);
  run.summary.tally.busy = 3s;
  EXPECT_EQ(bound_of(run.summary, run.plan, {}), Bound::server);
  EXPECT_EQ(bound_of(run.summary, run.plan, 0.4), Bound::latency);
}

}  // namespace
}  // namespace tocsin::cli::bench
