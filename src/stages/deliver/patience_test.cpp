#include "stages/deliver/patience.hpp"

#include <gtest/gtest.h>

namespace tocsin::deliver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Fill = Patience::Fill;

struct PatienceTest : testing::Test {
  PatienceTest() { patience.on_answer(now); }

  flow::Pacing pacing;
  Patience patience{pacing};
  MonoTime now = MonoTime{} + seconds{1000};
};

// Goal: workers wait while a lane is filling up and its receiver answers, and no longer.
TEST_F(PatienceTest, WaitsForAReceiverThatAnswers) {
  patience.update(Fill::low, now);
  EXPECT_FALSE(pacing.asked_to_wait());
  EXPECT_EQ(patience.due(), MonoTime::max());
  patience.update(Fill::high, now);
  EXPECT_TRUE(pacing.asked_to_wait());
  for (int i = 0; i < 4; ++i) {
    now += milliseconds{200};
    patience.on_answer(now);
    patience.update(Fill::high, now);
    EXPECT_TRUE(pacing.asked_to_wait()) << i;
    EXPECT_GT(patience.due(), now);
  }
  patience.update(Fill::middle, now);
  EXPECT_FALSE(pacing.asked_to_wait());
}

// Goal: a receiver that stopped answering is not waited for, until it answers again.
TEST_F(PatienceTest, DoesNotWaitForAStuckReceiver) {
  now += seconds{2};
  patience.update(Fill::high, now);
  EXPECT_FALSE(pacing.asked_to_wait());
  patience.on_answer(now);
  patience.update(Fill::high, now);
  EXPECT_TRUE(pacing.asked_to_wait());
  now = patience.due();
  patience.update(Fill::high, now);
  EXPECT_FALSE(pacing.asked_to_wait());
}

// Goal: a receiver that answers but cannot keep up is waited for a second in all, however often its
// lane gets below the mark and above it again; a lane that was worked off has its second again.
TEST_F(PatienceTest, WaitsOnceForASlowReceiver) {
  const auto wait_with_dips = [&] {
    int waited = 0;
    for (int i = 0; i < 200; ++i) {
      patience.on_answer(now);
      patience.update(i % 2 == 0 ? Fill::high : Fill::middle, now);
      waited += pacing.asked_to_wait() ? 1 : 0;
      now += milliseconds{50};
    }
    return waited;
  };
  EXPECT_EQ(wait_with_dips(), 20);  // Of 50 ms.
  EXPECT_EQ(wait_with_dips(), 0);
  patience.update(Fill::low, now);
  EXPECT_EQ(wait_with_dips(), 20);
}

// Goal: several lanes ask independently, and one that goes away no longer asks.
TEST_F(PatienceTest, EndsWithItsLane) {
  {
    Patience other(pacing);
    other.on_answer(now);
    other.update(Fill::high, now);
    patience.update(Fill::high, now);
    patience.update(Fill::middle, now);
    EXPECT_TRUE(pacing.asked_to_wait());
  }
  EXPECT_FALSE(pacing.asked_to_wait());
}

// Goal: what is on its way is bounded, and room comes back when it has arrived.
TEST(Pacing, RoomIsWhatIsNotOnItsWay) {
  flow::Pacing pacing;
  pacing.set_burst({.notifications = 10, .body_bytes = 1000});
  pacing.on_posted({.notifications = 4, .body_bytes = 1500});
  EXPECT_EQ(pacing.room().notifications, 6U);
  EXPECT_EQ(pacing.room().body_bytes, 0U) << "one body may be larger than the burst";
  pacing.on_arrived({.notifications = 4, .body_bytes = 1500});
  EXPECT_EQ(pacing.room().notifications, 10U);
  EXPECT_EQ(pacing.room().body_bytes, 1000U);
}

}  // namespace
}  // namespace tocsin::deliver
