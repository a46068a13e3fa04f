#include "control/config/units.hpp"

#include <gtest/gtest.h>

namespace tocsin::config {
namespace {

TEST(Units, DurationsAreReadAndWritten) {
  EXPECT_EQ(parse_duration_ms("1h30m"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("250ms"), 250);
  EXPECT_EQ(parse_duration_ms("2d"), 172'800'000);
  for (const char* bad : {"", "5", "s", "1x", "1h30", "-1s", "99999999999999999d"}) {
    EXPECT_FALSE(parse_duration_ms(bad).has_value()) << bad;
  }
  for (const std::int64_t ms : {0LL, 1LL, 999LL, 61'000LL, 5'400'000LL, 172'800'001LL}) {
    EXPECT_EQ(parse_duration_ms(format_duration_ms(ms)), ms);
  }
}

TEST(Units, SizesAreReadAndWritten) {
  EXPECT_EQ(parse_bytes("64KiB"), 65536);
  EXPECT_EQ(parse_bytes("1GB"), 1'000'000'000);
  EXPECT_EQ(parse_bytes("512"), 512);
  for (const char* bad : {"", "KiB", "1Kib", "-1", "1.5MiB", "99999999999999TiB"}) {
    EXPECT_FALSE(parse_bytes(bad).has_value()) << bad;
  }
  for (const std::int64_t bytes : {1LL, 1023LL, 1024LL, 65536LL, 201326592LL}) {
    EXPECT_EQ(parse_bytes(format_bytes(bytes)), bytes);
  }
}

}  // namespace
}  // namespace tocsin::config
