// Goal: the plan never promises more than memory_max, at any size and thread count that it accepts.
#include "flow/memory_plan.hpp"

#include <gtest/gtest.h>

namespace tocsin::flow {
namespace {

TEST(MemoryPlan, NeverExceedsTheMaximum) {
  int accepted = 0;
  for (std::size_t mib = 16; mib <= 4096; mib += mib / 8 + 1) {
    for (const std::uint32_t threads : {1U, 2U, 3U, 4U, 8U, 32U}) {
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

// Goal: what a configuration adds is taken out of the same maximum.
TEST(MemoryPlan, DemandsHaveTheirPart) {
  const MemoryDemands demands{.hash_bytes = std::size_t{16} << 20U, .tls = true};
  for (const std::uint32_t threads : {1U, 3U, 8U}) {
    const std::size_t memory_max = std::size_t{256} << 20U;
    const auto without = plan_memory(memory_max, plan_threads(threads, 4));
    const auto with = plan_memory(memory_max, plan_threads(threads, 4), demands);
    ASSERT_TRUE(without && with);
    EXPECT_LE(with->total_bytes, memory_max);
    EXPECT_EQ(with->hash_bytes, demands.hash_bytes);
    EXPECT_GT(with->tls_bytes, std::size_t{4} << 20U);
    EXPECT_EQ(without->tls_bytes, 0U);
    EXPECT_LT(with->batch_count, without->batch_count);
  }
}

// Goal: whatever the limit of descriptors, what all reactors may open leaves the reserve, and every
// connection has its stream.
TEST(MemoryPlan, StreamsLeaveDescriptorsForFiles) {
  for (const std::uint32_t count : {1U, 4U, 16U}) {
    const ThreadPlan threads = plan_threads(count, 4);
    const auto whole = plan_memory(std::size_t{1} << 30U, threads);
    ASSERT_TRUE(whole);
    for (std::uint64_t files = 512; files < 4'000'000; files += files / 3) {
      MemoryPlan plan = *whole;
      limit_descriptors(plan, threads, files);
      EXPECT_LE(std::uint64_t{threads.reactors} * plan.io.streams_max + 256, files);
      EXPECT_LT(plan.connections_max, plan.io.streams_max);
      EXPECT_LE(plan.connections_max, whole->connections_max);
      EXPECT_GT(mqtt_share(plan.connections_max), 0U);
    }
    MemoryPlan plan = *whole;
    limit_descriptors(plan, threads, UINT64_MAX);
    EXPECT_EQ(plan.connections_max, whole->connections_max);
    EXPECT_EQ(plan.io.streams_max, whole->io.streams_max);
  }
}

TEST(ThreadPlan, SmallMachinesRunOneThread) {
  EXPECT_EQ(plan_threads(0, 1).threads(), 1U);
  EXPECT_EQ(plan_threads(0, 2).threads(), 1U);
  EXPECT_EQ(plan_threads(0, 8).threads(), 8U);
  EXPECT_EQ(plan_threads(4, 2).threads(), 4U);
}

// Goal: the number that somebody asks for is the number that runs, on any machine.
TEST(ThreadPlan, AskedForIsGiven) {
  for (std::uint32_t wanted = 1; wanted <= 64; ++wanted) {
    const ThreadPlan plan = plan_threads(wanted, 2);
    EXPECT_EQ(plan.threads(), wanted);
    EXPECT_GE(plan.reactors, 1U);
    EXPECT_GE(plan.workers, 1U);
  }
}

// Goal: the memory limit never keeps a machine with many processors from starting; a number that
// somebody asked for is never changed.
TEST(ResourcePlan, ChosenThreadsFitTheMemory) {
  const std::size_t memory_max = std::size_t{192} << 20U;
  for (const std::uint32_t processors : {1U, 4U, 64U, 256U}) {
    const auto plan = plan_resources(memory_max, 0, processors);
    ASSERT_TRUE(plan) << processors;
    EXPECT_LE(plan->memory.total_bytes, memory_max);
  }
  EXPECT_EQ(plan_resources(memory_max, 3, 64)->threads.threads(), 3U);
  EXPECT_FALSE(plan_resources(memory_max, 64, 64));
}

// Goal: the memory that the sentence names is enough, and no less is.
TEST(ResourcePlan, TheShortageNamesWhatIsEnough) {
  const std::size_t given = std::size_t{40} << 20U;
  const std::string text = memory_shortage(given, 4);
  ASSERT_TRUE(text.starts_with("is too small for 4 threads: at least ")) << text;
  const std::size_t needed = std::stoul(text.substr(text.rfind(' ') + 1));
  EXPECT_TRUE(plan_resources(needed << 20U, 4, 1));
  EXPECT_FALSE(plan_resources((needed - 1) << 20U, 4, 1));
}

}  // namespace
}  // namespace tocsin::flow
