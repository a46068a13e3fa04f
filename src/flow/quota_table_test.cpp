#include "flow/quota_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace tocsin::flow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MonoTime start{seconds(1000)};

io::Endpoint peer(const char* text) { return *io::parse_address(text, 1); }

// Goal: never more than burst + rate * time, and no less, whatever the arrivals. Method: try every
// millisecond for ten seconds and count what passes.
TEST(TokenRateTest, GivesBurstAndThenTheRate) {
  for (const std::uint32_t rate : {1U, 3U, 7U, 333U}) {
    const TokenRate bucket(rate, 5);
    MonoTime full_at = MonoTime::min();
    std::uint32_t passed = 0;
    for (int ms = 0; ms <= 10'000; ++ms) {
      while (!bucket.take(full_at, 1, start + milliseconds(ms))) ++passed;
    }
    EXPECT_GE(passed, 5 + 10 * rate - 1) << rate;
    EXPECT_LE(passed, 5 + 10 * rate) << rate;
  }
}

// Goal: the wait that is told is exactly the wait: one nanosecond earlier it is refused.
TEST(TokenRateTest, TellsTheExactWait) {
  const TokenRate bucket(3, 4);
  MonoTime full_at = MonoTime::min();
  EXPECT_FALSE(bucket.take(full_at, 4, start));
  const auto wait = bucket.take(full_at, 2, start);
  ASSERT_TRUE(wait);
  MonoTime early = full_at;
  EXPECT_TRUE(bucket.take(early, 2, start + *wait - Duration(1)));
  EXPECT_FALSE(bucket.take(full_at, 2, start + *wait));
}

TEST(TokenRateTest, ARefusalTakesNothing) {
  const TokenRate bucket(1, 2);
  MonoTime full_at = MonoTime::min();
  EXPECT_FALSE(bucket.take(full_at, 1, start));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.take(full_at, 2, start));
  EXPECT_FALSE(bucket.take(full_at, 1, start));
}

// Goal: a batch larger than the burst is not refused for ever, and is paid for.
TEST(TokenRateTest, ALargeRequestOwesTheRest) {
  const TokenRate bucket(10, 10);
  MonoTime full_at = MonoTime::min();
  EXPECT_FALSE(bucket.take(full_at, 1000, start));
  EXPECT_EQ(bucket.left(full_at, start), 0U);
  EXPECT_EQ(bucket.take(full_at, 1000, start), Duration(seconds(100)));
  EXPECT_EQ(bucket.take(full_at, 1, start), Duration(seconds(99)) + milliseconds(100));
  EXPECT_EQ(bucket.left(full_at, start + seconds(99) + milliseconds(500)), 5U);
  EXPECT_FALSE(bucket.take(full_at, 1000, start + seconds(100)));
}

TEST(TokenRateTest, ZeroAsksWithoutTaking) {
  const TokenRate bucket(1, 1);
  MonoTime full_at = MonoTime::min();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(bucket.take(full_at, 0, start));
  EXPECT_FALSE(bucket.take(full_at, 1, start));
  EXPECT_EQ(bucket.take(full_at, 0, start), Duration(seconds(1)));
}

// Goal: the largest figures do not overflow.
TEST(TokenRateTest, Extremes) {
  const TokenRate slow(1, 10'000'000);
  MonoTime full_at = MonoTime::min();
  EXPECT_FALSE(slow.take(full_at, 10'000'000, start));
  EXPECT_EQ(slow.take(full_at, 10'000'000, start), Duration(seconds(10'000'000)));
  const TokenRate fast(1'000'000, 0);
  full_at = MonoTime::min();
  EXPECT_FALSE(fast.take(full_at, UINT32_MAX, start));
  EXPECT_GT(fast.take(full_at, 1, start).value(), seconds(4000));
}

TEST(QuotaTableTest, OffMeansOff) {
  QuotaTable quotas({}, 1);
  EXPECT_FALSE(quotas.enabled());
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(quotas.take_client("a", peer("10.0.0.1"), 9, start));
  quotas.set_sources({{.name = "s", .topic = {}, .type = {}, .description = {}, .rate = 1}});
  EXPECT_TRUE(quotas.enabled());
}

TEST(QuotaTableTest, ClientsAreApartAndAnonymousOnesShareTheirAddress) {
  QuotaTable quotas({.client_rate = 1, .client_burst = 2}, 1);
  const auto here = peer("10.0.0.1");
  EXPECT_FALSE(quotas.take_client("a", here, 2, start));
  EXPECT_TRUE(quotas.take_client("a", here, 1, start));
  EXPECT_FALSE(quotas.take_client("b", here, 2, start));
  EXPECT_FALSE(quotas.take_client("", here, 2, start));
  EXPECT_TRUE(quotas.take_client("", here, 1, start));
  auto other_port = here;
  other_port.port = 77;
  EXPECT_TRUE(quotas.take_client("", other_port, 1, start));
  EXPECT_FALSE(quotas.take_client("", peer("10.0.0.2"), 1, start));
  EXPECT_FALSE(quotas.take_client("a", here, 1, start + seconds(1)));
}

// Goal: an IPv6 client cannot leave its bucket by taking another of its addresses.
TEST(QuotaTableTest, AnIpv6NetworkIsOneAddress) {
  QuotaTable quotas({.address_rate = 1, .address_burst = 1}, 1);
  EXPECT_FALSE(quotas.take_client("", peer("2001:db8::1"), 1, start));
  EXPECT_TRUE(quotas.take_client("", peer("2001:db8::ffff:1"), 1, start));
  EXPECT_FALSE(quotas.take_client("", peer("2001:db8:0:1::1"), 1, start));
}

// Goal: what the address refuses is not taken from the client.
TEST(QuotaTableTest, TakesFromAllBucketsOrNone) {
  QuotaTable quotas({.client_rate = 1, .client_burst = 5, .address_rate = 1, .address_burst = 3},
                    1);
  const auto here = peer("10.0.0.1");
  for (const std::string_view key : {"a", ""}) {
    const MonoTime now = key.empty() ? start + seconds(1000) : start;
    EXPECT_FALSE(quotas.take_client(key, here, 3, now));
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(quotas.take_client(key, here, 2, now));
    const ClientQuotas seen = quotas.look(key, here, now);
    ASSERT_EQ(seen.count, 2U);
    EXPECT_EQ(seen.states[0].left, 2U);
    EXPECT_EQ(seen.states[1].left, 0U);
    EXPECT_EQ(seen.states[1].wait, Duration(seconds(1)));
  }
}

// Goal: what is given back is there again, in the same buckets, and never more than they hold.
TEST(QuotaTableTest, GivesBackToAllBuckets) {
  QuotaTable quotas({.client_rate = 1, .client_burst = 5, .address_rate = 1, .address_burst = 7},
                    1);
  const auto here = peer("10.0.0.1");
  for (const std::string_view key : {"a", ""}) {
    const MonoTime now = key.empty() ? start + seconds(1000) : start;
    EXPECT_FALSE(quotas.take_client(key, here, 5, now));
    quotas.give_back(key, here, 3, now);
    ClientQuotas seen = quotas.look(key, here, now);
    EXPECT_EQ(seen.states[0].left, 3U);
    EXPECT_EQ(seen.states[1].left, 5U);
    quotas.give_back(key, here, 2, now + seconds(100));
    seen = quotas.look(key, here, now + seconds(100));
    EXPECT_EQ(seen.states[0].left, 5U);
    EXPECT_EQ(seen.states[1].left, 7U);
  }
}

TEST(QuotaTableTest, SourcesKeepTheirBucketOverAReload) {
  QuotaTable quotas({}, 1);
  const SourceConfig source{
      .name = "s", .topic = {}, .type = {}, .description = {}, .rate = 2, .burst = 2};
  quotas.set_sources({source});
  EXPECT_FALSE(quotas.take_source("s", 2, start));
  EXPECT_EQ(quotas.take_source("s", 1, start), Duration(milliseconds(500)));
  quotas.set_sources({source});
  EXPECT_TRUE(quotas.take_source("s", 1, start));
  EXPECT_FALSE(quotas.take_source("other", 1, start));
}

// Goal: flooding the table with other keys does not fill one's own bucket, memory stays bounded,
// and once the buckets are full again new keys get their own.
TEST(QuotaTableTest, AFloodOfKeysResetsNothing) {
  QuotaTable quotas({.client_rate = 1, .client_burst = 10, .buckets_max = 128}, 42);
  const auto here = peer("10.0.0.1");
  EXPECT_FALSE(quotas.take_client("mine", here, 10, start));
  int passed = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (!quotas.take_client("flood" + std::to_string(i), here, 10, start)) ++passed;
  }
  EXPECT_TRUE(quotas.take_client("mine", here, 1, start));
  EXPECT_LE(passed, 64 + 16);  // A bucket each for half the room, and one shared a shard.
  const MonoTime later = start + seconds(10);
  EXPECT_FALSE(quotas.take_client("mine", here, 10, later));
  passed = 0;
  for (int i = 0; i < 16; ++i) {
    if (!quotas.take_client("new" + std::to_string(i), here, 10, later)) ++passed;
  }
  EXPECT_EQ(passed, 16);
}

}  // namespace
}  // namespace tocsin::flow
