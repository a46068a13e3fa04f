#include "stages/deliver/patience.hpp"

#include <gtest/gtest.h>

namespace tocsin::deliver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct PatienceTest : testing::Test {
  flow::NotificationPool pool{1};
  MonoTime now = MonoTime{} + seconds{1000};
};

// Goal: workers wait while a lane is filling up and its receiver answers, and no longer.
TEST_F(PatienceTest, WaitsForAReceiverThatAnswers) {
  Patience patience(pool, now);
  patience.update(false, now);
  EXPECT_FALSE(pool.asked_to_wait());
  EXPECT_EQ(patience.due(), MonoTime::max());
  patience.update(true, now);
  EXPECT_TRUE(pool.asked_to_wait());
  for (int i = 0; i < 4; ++i) {
    now += milliseconds{200};
    patience.on_answer(now);
    patience.update(true, now);
    EXPECT_TRUE(pool.asked_to_wait()) << i;
    EXPECT_GT(patience.due(), now);
  }
  patience.update(false, now);
  EXPECT_FALSE(pool.asked_to_wait());
}

// Goal: a receiver that stopped answering holds up nobody.
TEST_F(PatienceTest, DoesNotWaitForAStuckReceiver) {
  Patience patience(pool, now);
  patience.update(true, now);
  now = patience.due();
  patience.update(true, now);
  EXPECT_FALSE(pool.asked_to_wait());
  now += seconds{10};
  patience.update(false, now);
  patience.update(true, now);
  EXPECT_FALSE(pool.asked_to_wait());
  patience.on_answer(now);
  patience.update(true, now);
  EXPECT_TRUE(pool.asked_to_wait()) << "it answers again";
}

// Goal: a receiver that answers but cannot keep up is waited for once, not for ever.
TEST_F(PatienceTest, WaitsOnceForASlowReceiver) {
  Patience patience(pool, now);
  int waited = 0;
  for (int i = 0; i < 100; ++i) {
    now += milliseconds{50};
    patience.on_answer(now);
    patience.update(true, now);
    waited += pool.asked_to_wait() ? 1 : 0;
  }
  EXPECT_EQ(waited, 20);  // One second.
  patience.update(false, now);
  patience.update(true, now);
  EXPECT_TRUE(pool.asked_to_wait()) << "it had caught up";
}

// Goal: several lanes ask independently, and one that goes away no longer asks.
TEST_F(PatienceTest, EndsWithItsLane) {
  Patience other(pool, now);
  {
    Patience patience(pool, now);
    patience.update(true, now);
    other.update(true, now);
    other.update(false, now);
    EXPECT_TRUE(pool.asked_to_wait());
  }
  EXPECT_FALSE(pool.asked_to_wait());
}

}  // namespace
}  // namespace tocsin::deliver
