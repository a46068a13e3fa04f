#include "cli/bench/demand.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace tocsin::cli::bench {
namespace {

// Goal: work shows, in the thread and in its process; what does not exist has wanted nothing.
TEST(BenchDemand, CountsWork) {
  // The process first: a pause between the two then counts for it alone.
  const Duration process_before = process_demand(getpid());
  const Duration thread_before = thread_demand("/proc/thread-self");
  Duration done{};
  while (done < std::chrono::milliseconds(20)) {
    done = thread_demand("/proc/thread-self") - thread_before;
  }
  EXPECT_GE(process_demand(getpid()) - process_before, std::chrono::milliseconds(10));
  EXPECT_EQ(thread_demand("/proc/nobody"), Duration{});
  EXPECT_EQ(process_demand(-1), Duration{});
}

}  // namespace
}  // namespace tocsin::cli::bench
