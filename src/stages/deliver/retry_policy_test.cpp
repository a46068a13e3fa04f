#include "stages/deliver/retry_policy.hpp"

#include <gtest/gtest.h>

namespace tocsin::deliver {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr MonoTime now{hours{5}};

RetryPolicy policy() {
  return {.schedule = {seconds{60}, seconds{300}}, .attempts_max = 4, .jitter = false};
}
Attempt failed(Verdict verdict, DeliveryError error = DeliveryError::reset) {
  return {.verdict = verdict, .error = error};
}

// Goal: every unit is read, and what is not a schedule is refused instead of guessed.
TEST(RetrySchedule, IsReadOrRefused) {
  const auto schedule = parse_schedule("500ms, 10s,5m,1h,1d");
  ASSERT_TRUE(schedule);
  EXPECT_EQ(*schedule, (std::vector<Duration>{milliseconds{500}, seconds{10}, minutes{5}, hours{1},
                                              hours{24}}));
  for (const char* bad : {"", "60", "s", "60s,", ",60s", "-1s", "0s", "1.5s", "60 s", "31d", "1y",
                          "99999999999999999999s", "9223372036854775807d"}) {
    EXPECT_FALSE(parse_schedule(bad)) << bad;
  }
  std::string many = "1s";
  for (int i = 0; i < 31; ++i) many += ",1s";
  EXPECT_TRUE(parse_schedule(many));
  EXPECT_FALSE(parse_schedule(many + ",1s"));
}

// Goal: each verdict leads to its decision.
TEST(RetryPolicy, VerdictsDecide) {
  EXPECT_EQ(policy().decide({}, 1, now, 0).kind, Decision::Kind::sent);
  const auto permanent =
      policy().decide(failed(Verdict::permanent, DeliveryError::too_large), 1, now, 0);
  EXPECT_EQ(permanent.kind, Decision::Kind::dead);
  EXPECT_EQ(permanent.reason, DeliveryError::too_large);
  const auto auth = policy().decide(failed(Verdict::auth, DeliveryError::status_client), 1, now, 0);
  EXPECT_EQ(auth.kind, Decision::Kind::dead);
  EXPECT_EQ(auth.reason, DeliveryError::auth);
}

// Goal: retries follow the schedule, its last wait repeats, and the attempts are bounded.
TEST(RetryPolicy, FollowsTheScheduleAndEnds) {
  const Attempt attempt = failed(Verdict::transient);
  EXPECT_EQ(policy().decide(attempt, 1, now, 0).retry_at, now + seconds{60});
  EXPECT_EQ(policy().decide(attempt, 2, now, 0).retry_at, now + seconds{300});
  EXPECT_EQ(policy().decide(attempt, 3, now, 0).retry_at, now + seconds{300});
  const auto last = policy().decide(attempt, 4, now, 0);
  EXPECT_EQ(last.kind, Decision::Kind::dead);
  EXPECT_EQ(last.reason, DeliveryError::exhausted);
}

// Goal: Retry-After is a floor, never a shortcut, and an absurd one is not obeyed.
TEST(RetryPolicy, RetryAfterIsABoundedFloor) {
  Attempt attempt = failed(Verdict::throttled, DeliveryError::throttled);
  attempt.retry_after = seconds{5};
  EXPECT_EQ(policy().decide(attempt, 1, now, 0).retry_at, now + seconds{60});
  attempt.retry_after = seconds{90};
  EXPECT_EQ(policy().decide(attempt, 1, now, 0).retry_at, now + seconds{90});
  attempt.retry_after = hours{24 * 3650};
  EXPECT_EQ(policy().decide(attempt, 1, now, 0).retry_at, now + RetryPolicy::retry_after_max);
}

// Goal: full jitter stays within [0, scheduled wait] and still respects the floor.
TEST(RetryPolicy, JitterStaysWithinTheWait) {
  RetryPolicy jittered = policy();
  jittered.jitter = true;
  Attempt attempt = failed(Verdict::transient);
  for (std::uint64_t random : {std::uint64_t{0}, std::uint64_t{12345}, UINT64_MAX}) {
    const auto decision = jittered.decide(attempt, 1, now, random);
    EXPECT_GE(decision.retry_at, now);
    EXPECT_LE(decision.retry_at, now + seconds{60});
  }
  EXPECT_NE(jittered.decide(attempt, 1, now, 1).retry_at,
            jittered.decide(attempt, 1, now, 1'000'000'000).retry_at);
  attempt.retry_after = seconds{70};
  EXPECT_EQ(jittered.decide(attempt, 1, now, 3).retry_at, now + seconds{70});
}

}  // namespace
}  // namespace tocsin::deliver
