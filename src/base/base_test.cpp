#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/crc32c.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/uuid.hpp"

namespace tocsin {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

TEST(Crc32c, KnownVectorsOfRfc3720) {
  EXPECT_EQ(crc32c(0, bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c(0, bytes(std::string(32, '\0'))), 0x8A9136AAU);
  EXPECT_EQ(crc32c(0, bytes(std::string(32, '\xFF'))), 0x62A8AB43U);
}

TEST(Crc32c, HardwareAgreesWithTheTableAndContinues) {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += static_cast<char>(i * 37);
    EXPECT_EQ(crc32c(0, bytes(text)), crc32c_portable(0, bytes(text)));
    const std::string_view whole = text;
    const auto cut = static_cast<std::size_t>(i) / 3;
    EXPECT_EQ(crc32c(crc32c(0, bytes(whole.substr(0, cut))), bytes(whole.substr(cut))),
              crc32c(0, bytes(whole)));
  }
}

// Bytes without a pattern that a wrong order could hide behind.
std::vector<std::byte> noise(std::size_t size, std::uint32_t seed) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) {
    seed = seed * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(seed >> 24U);
  }
  return bytes;
}

// Method: every size in every lane, beside neighbours of other sizes, each lane beginning with
// another value and at another alignment.
TEST(Crc32c, ThreeAtOnceAreThoseOfEach) {
  const std::array<std::vector<std::byte>, 3> bytes{noise(100, 2), noise(100, 3), noise(100, 4)};
  constexpr std::array<std::uint32_t, 3> begun{0, 0x12345678, 0xFEDCBA98};
  constexpr std::array<std::size_t, 6> others{0, 7, 8, 33, 64, 70};
  for (std::size_t lane = 0; lane < 3; ++lane) {
    for (std::size_t size = 0; size <= 70; ++size) {
      for (const std::size_t second : others) {
        for (const std::size_t third : others) {
          std::array<std::size_t, 3> sizes{};
          sizes[lane] = size;
          sizes[(lane + 1) % 3] = second;
          sizes[(lane + 2) % 3] = third;
          std::array<std::span<const std::byte>, 3> spans;
          for (std::size_t i = 0; i < 3; ++i) spans[i] = std::span{bytes[i]}.subspan(i, sizes[i]);
          std::array<std::uint32_t, 3> crcs = begun;
          crc32c_three(crcs, spans);
          for (std::size_t i = 0; i < 3; ++i) {
            ASSERT_EQ(crcs[i], crc32c_portable(begun[i], spans[i]))
                << sizes[0] << ' ' << sizes[1] << ' ' << sizes[2];
          }
        }
      }
    }
  }
  std::array<std::uint32_t, 3> crcs = begun;
  crc32c_three(crcs, {});
  EXPECT_EQ(crcs, begun) << "nothing at nowhere";
}

TEST(Uuid, TextRoundTripAndVersionBits) {
  Uuid7Generator generator(42);
  const EventId id = generator.next(from_us<WallTime>(1'700'000'000'123'000));
  const UuidText text = uuid_text(id.hi, id.lo);
  EXPECT_EQ(view(text)[14], '7');
  EXPECT_EQ(uuid_parse(view(text)), id);
  EXPECT_EQ(id.hi >> 16U, 1'700'000'000'123U);
  EXPECT_EQ(id.lo >> 62U, 2U);
  EXPECT_FALSE(uuid_parse("not a uuid").has_value());
  EXPECT_EQ(view(uuid_text(0x0123456789ABCDEF, 0xFEDCBA9876543210)),
            "01234567-89ab-cdef-fedc-ba9876543210");
}

TEST(Uuid, IncreasesEvenWhenTheClockGoesBack) {
  Uuid7Generator generator(1);
  EventId last{};
  for (int i = 0; i < 10000; ++i) {
    const EventId id = generator.next(from_us<WallTime>(5'000'000'000 - i * 1000));
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST(Histogram, BucketsAreNarrowAndQuantilesUpperBounds) {
  for (std::uint64_t v = 1; v < (1ULL << 39U); v = v * 3 / 2 + 1) {
    const auto end = Histogram::bucket_end(Histogram::bucket_of(v));
    EXPECT_GT(end, v);
    EXPECT_LE(end, v + v / 8 + 1) << v;
  }
  Histogram h;
  for (std::uint64_t v = 1; v <= 1000; ++v) h.record(v);
  EXPECT_EQ(h.count(), 1000U);
  EXPECT_GE(h.quantile(0.5), 500U);
  EXPECT_LE(h.quantile(0.5), 576U);
}

// partition_hash is written to disk, so these values must never change.
TEST(Hash, ValuesArePinned) {
  EXPECT_EQ(hash64(""), 9121564078401346034U);
  EXPECT_EQ(hash64("dev-1"), 2086519046052165892U);
  EXPECT_EQ(hash64("a longer partition key"), 9417317922061313717U);
}

// Notification ids are made of it.
TEST(Hash, Hash128IsPinnedAndCountsSizes) {
  const Hash128 empty = hash128("");
  EXPECT_EQ(empty.hi, 5670581166129951405U);
  EXPECT_EQ(empty.lo, 15065655042429243578U);
  const Hash128 two = hash128("c", hash128("ab"));
  EXPECT_EQ(two.hi, 1139007117343913802U);
  EXPECT_EQ(two.lo, 7786704360625227199U);
  EXPECT_FALSE(two == hash128("bc", hash128("a")));
  EXPECT_FALSE(two == hash128("abc"));
}

TEST(LogSafe, EscapesControlCharactersAndCuts) {
  EXPECT_EQ(log_safe("a\r\nb"), "a\\x0d\\x0ab");
  EXPECT_EQ(log_safe("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(log_safe("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace tocsin
