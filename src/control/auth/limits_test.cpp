// The limits around Argon2: waits after failures, and what is remembered instead of hashed again.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "control/auth/attempt_limiter.hpp"
#include "control/auth/verified_cache.hpp"

namespace tocsin::auth {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

io::Endpoint peer(std::uint8_t last) {
  io::Endpoint endpoint;
  endpoint.address = {10, 0, 0, last};
  return endpoint;
}

constexpr MonoTime start{std::chrono::hours(1)};

struct Fixture : ::testing::Test {
  AttemptLimits limits{
      .failures_free = 3, .delay = milliseconds(100), .delay_max = seconds(1), .pending_max = 2};
  AttemptLimiter limiter{limits, 1};
  void fail(int times, const io::Endpoint& who, MonoTime now) {
    for (int i = 0; i < times; ++i) limiter.failed(who, now);
  }
};
using Attempts = Fixture;

TEST_F(Attempts, WaitsDoubleAfterTheFreeOnes) {
  fail(3, peer(1), start);
  EXPECT_TRUE(limiter.begin(peer(1), start));
  limiter.finished(peer(1), true, start);
  EXPECT_FALSE(limiter.begin(peer(1), start + milliseconds(99)));
  EXPECT_TRUE(limiter.begin(peer(1), start + milliseconds(100)));
  limiter.finished(peer(1), true, start + milliseconds(100));
  EXPECT_FALSE(limiter.begin(peer(1), start + milliseconds(299)));
  EXPECT_TRUE(limiter.begin(peer(1), start + milliseconds(300)));
  limiter.finished(peer(1), false, start + milliseconds(300));
  EXPECT_TRUE(limiter.begin(peer(2), start)) << "another address does not wait";
}

TEST_F(Attempts, TheLongestWaitHasAnEndAndFailuresAreForgotten) {
  fail(1000, peer(1), start);
  EXPECT_FALSE(limiter.begin(peer(1), start + milliseconds(999)));
  EXPECT_TRUE(limiter.begin(peer(1), start + seconds(1)));
  limiter.finished(peer(1), false, start + seconds(1));
  fail(3, peer(1), start + minutes(60));
  EXPECT_TRUE(limiter.begin(peer(1), start + minutes(60)));
}

// Who has an account of his own must not be able to reset the count with it.
TEST_F(Attempts, ASuccessForgivesNothing) {
  fail(3, peer(1), start);
  ASSERT_TRUE(limiter.begin(peer(1), start));
  limiter.finished(peer(1), false, start);
  fail(1, peer(1), start);
  EXPECT_FALSE(limiter.begin(peer(1), start));
}

TEST_F(Attempts, OneAddressHasItsShareOfTheQueue) {
  EXPECT_TRUE(limiter.begin(peer(1), start));
  EXPECT_TRUE(limiter.begin(peer(1), start));
  EXPECT_FALSE(limiter.begin(peer(1), start));
  EXPECT_TRUE(limiter.begin(peer(2), start));
  limiter.finished(peer(1), false, start);
  EXPECT_TRUE(limiter.begin(peer(1), start));
}

TEST_F(Attempts, AnIpv6SubscriberIsHisWholePrefix) {
  io::Endpoint one{.family = io::Endpoint::Family::v6, .address = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1}};
  io::Endpoint other = one;
  other.address[15] = 9;
  fail(4, one, start);
  EXPECT_FALSE(limiter.begin(other, start));
  other.address[7] = 2;
  EXPECT_TRUE(limiter.begin(other, start));
}

TEST_F(Attempts, ManyAddressesAreForgottenNotCounted) {
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    io::Endpoint who;
    std::memcpy(who.address.data(), &i, sizeof i);
    limiter.failed(who, start);
    ASSERT_TRUE(limiter.begin(who, start));
    limiter.finished(who, false, start);
  }
}

TEST(Verified, KnowsWhatWasAddedUntilItExpires) {
  VerifiedCache cache(64, seconds(10));
  const auto key = cache.key_of("u", "h", "p");
  EXPECT_FALSE(cache.contains(key, start));
  cache.add(key, start);
  EXPECT_TRUE(cache.contains(key, start + milliseconds(9'999)));
  EXPECT_FALSE(cache.contains(key, start + seconds(10)));
  cache.add(key, start + seconds(20));
  cache.clear();
  EXPECT_FALSE(cache.contains(key, start + seconds(20)));
}

TEST(Verified, EveryPartOfTheKeyCounts) {
  VerifiedCache cache(64, seconds(10));
  cache.add(cache.key_of("ab", "c", "d"), start);
  EXPECT_TRUE(cache.contains(cache.key_of("ab", "c", "d"), start));
  for (const auto& [user, hash, password] :
       {std::tuple{"a", "bc", "d"}, {"ab", "", "cd"}, {"ab", "c", "D"}, {"ab", "C", "d"}}) {
    EXPECT_FALSE(cache.contains(cache.key_of(user, hash, password), start));
  }
  const VerifiedCache other(64, seconds(10));
  EXPECT_NE(other.key_of("ab", "c", "d"), cache.key_of("ab", "c", "d")) << "the key is random";
}

TEST(Verified, IsBoundedAndMayBeOff) {
  VerifiedCache cache(64, seconds(10));
  std::vector<VerifiedCache::Key> keys;
  for (int i = 0; i < 1000; ++i) {
    keys.push_back(cache.key_of("u", "h", std::to_string(i)));
    cache.add(keys.back(), start + milliseconds(i));
  }
  const auto known = std::ranges::count_if(
      keys, [&](const auto& key) { return cache.contains(key, start + seconds(1)); });
  EXPECT_LE(known, 64);
  EXPECT_TRUE(cache.contains(keys.back(), start + seconds(1))) << "the oldest make room";
  VerifiedCache off(0, seconds(10));
  off.add(off.key_of("u", "h", "p"), start);
  EXPECT_FALSE(off.contains(off.key_of("u", "h", "p"), start));
}

}  // namespace
}  // namespace tocsin::auth
