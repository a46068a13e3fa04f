#include "io/uring/ring.hpp"

#include <gtest/gtest.h>
#include <liburing.h>

#include <array>
#include <cstdint>

#include "io/uring/probe.hpp"

namespace tocsin::io::uring {
namespace {

// Goal: what was set aside to empty the queue comes first, once, and is counted once. Method: what
// reserve() does when an old kernel refuses entries, between no-ops that complete at once.
TEST(Ring, ServesFirstWhatWasSetAside) {
  if (!probe_kernel().single_shot_usable()) GTEST_SKIP() << probe_kernel().single_shot_reason;
  const auto made = Ring::make({.multishot = false, .extended_wait = false, .plain_setup = true});
  ASSERT_TRUE(made) << made.error();
  Ring& ring = **made;
  const auto add = [&](std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t slot = first; slot <= last; ++slot) {
      io_uring_prep_nop(ring.next_sqe({OpKind::wake, 0, slot}));
    }
    ring.submit_and_wait(Duration::zero());
  };
  add(0, 2);
  ring.set_aside();
  add(3, 3);
  ring.set_aside();
  add(4, 5);
  EXPECT_EQ(ring.outstanding(), 6U);
  std::uint32_t expected = 0;
  std::array<Completion, 2> batch{};
  for (std::size_t count = ring.take(batch); count > 0; count = ring.take(batch)) {
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(batch[i].tag.slot, expected++);
  }
  EXPECT_EQ(expected, 6U);
  EXPECT_EQ(ring.outstanding(), 0U);
}

}  // namespace
}  // namespace tocsin::io::uring
