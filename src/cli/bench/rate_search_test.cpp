#include "cli/bench/rate_search.hpp"

#include <gtest/gtest.h>

namespace tocsin::cli::bench {
namespace {

int search(RateSearch& search, double capacity) {
  int steps = 0;
  while (!search.done() && steps < 1000) {
    search.report(search.rate() <= capacity);
    ++steps;
  }
  return steps;
}

// Goal: whatever the capacity, what is found lies below it by the precision at most, and soon.
TEST(BenchRateSearch, FindsTheCapacity) {
  for (const double capacity : {3.0, 999.0, 1000.0, 1001.0, 64'000.0, 4'321'987.0}) {
    RateSearch found({.start = 1000, .precision = 0.05});
    EXPECT_LE(search(found, capacity), 50) << capacity;
    EXPECT_LE(found.best(), capacity);
    EXPECT_GT(found.broken(), capacity);
    EXPECT_LE(found.broken(), found.best() * 1.05);
  }
}

// Goal: one step that breaks by chance does not end the search.
TEST(BenchRateSearch, ForgivesOneDisturbance) {
  RateSearch found({.start = 1000});
  found.report(true);
  found.report(false);
  EXPECT_EQ(found.rate(), 2000);
  EXPECT_EQ(found.broken(), 0);
  found.report(true);
  EXPECT_EQ(found.rate(), 4000);
}

// Goal: it ends where nothing is kept, and where nothing breaks.
TEST(BenchRateSearch, EndsAtItsLimits) {
  RateSearch hopeless({.start = 100, .least = 10});
  search(hopeless, 1);
  EXPECT_TRUE(hopeless.done());
  EXPECT_EQ(hopeless.best(), 0);
  EXPECT_EQ(hopeless.broken(), 10);
  RateSearch endless({.start = 100, .most = 1000});
  search(endless, 1e9);
  EXPECT_TRUE(endless.done());
  EXPECT_EQ(endless.best(), 1000);
}

}  // namespace
}  // namespace tocsin::cli::bench
