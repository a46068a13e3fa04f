// Goal: the plan never promises more than memory_max, at any size and thread count that it accepts.
#include "flow/memory_plan.hpp"

#include <gtest/gtest.h>

namespace tocsin::flow {
namespace {

TEST(MemoryPlan, NeverExceedsTheMaximum) {
  int accepted = 0;
  for (std::size_t mib = 16; mib <= 4096; mib += mib / 8 + 1) {
    for (const std::uint32_t threads : {1U, 3U, 4U, 8U, 32U}) {
      const auto plan = plan_memory(mib << 20U, plan_threads(threads, 4));
      if (!plan) continue;
      ++accepted;
      EXPECT_LE(plan->total_bytes, mib << 20U);
      EXPECT_GE(plan->batch_count, 8U);
      EXPECT_GT(plan->notification_count, 100U);
    }
  }
  EXPECT_GT(accepted, 50);
}

TEST(MemoryPlan, ASmallGatewayFits) {
  EXPECT_TRUE(plan_memory(std::size_t{48} << 20U, plan_threads(1, 1)).has_value());
  EXPECT_FALSE(plan_memory(std::size_t{8} << 20U, plan_threads(1, 1)).has_value());
}

TEST(ThreadPlan, SmallMachinesRunOneThread) {
  EXPECT_EQ(plan_threads(0, 1).threads(), 1U);
  EXPECT_EQ(plan_threads(0, 2).threads(), 1U);
  EXPECT_EQ(plan_threads(0, 8).threads(), 8U);
  EXPECT_EQ(plan_threads(4, 2).threads(), 4U);
  EXPECT_EQ(plan_threads(2, 2).threads(), 3U) << "separate stages need three";
}

}  // namespace
}  // namespace tocsin::flow
