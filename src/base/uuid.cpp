#include "base/uuid.hpp"

#include <bit>
#include <cstring>

#include "base/ascii.hpp"

namespace tocsin {
namespace {

// Eight digits at once: each nibble becomes a byte, and what is above 9 is moved on to 'a'.
void put_hex(std::uint32_t value, char* to) noexcept {
  std::uint64_t x = value;
  x = (x | x << 16U) & 0x0000FFFF0000FFFF;
  x = (x | x << 8U) & 0x00FF00FF00FF00FF;
  x = (x | x << 4U) & 0x0F0F0F0F0F0F0F0F;
  const std::uint64_t letters = (x + 0x0606060606060606) >> 4U & 0x0101010101010101;
  x += 0x3030303030303030 + letters * ('a' - '9' - 1);
  // The highest digit first, whatever the machine's byte order.
  if constexpr (std::endian::native == std::endian::little) x = __builtin_bswap64(x);
  std::memcpy(to, &x, sizeof(x));
}

constexpr bool is_dash(std::size_t at) noexcept {
  return at == 8 || at == 13 || at == 18 || at == 23;
}

}  // namespace

UuidText uuid_text(std::uint64_t hi, std::uint64_t lo) noexcept {
  std::array<char, 32> all;
  put_hex(static_cast<std::uint32_t>(hi >> 32U), &all[0]);
  put_hex(static_cast<std::uint32_t>(hi), &all[8]);
  put_hex(static_cast<std::uint32_t>(lo >> 32U), &all[16]);
  put_hex(static_cast<std::uint32_t>(lo), &all[24]);
  UuidText text;
  std::memcpy(&text[0], &all[0], 8);
  std::memcpy(&text[9], &all[8], 4);
  std::memcpy(&text[14], &all[12], 4);
  std::memcpy(&text[19], &all[16], 4);
  std::memcpy(&text[24], &all[20], 12);
  text[8] = text[13] = text[18] = text[23] = '-';
  return text;
}

std::optional<EventId> uuid_parse(std::string_view text) noexcept {
  if (text.size() != 36) return std::nullopt;
  EventId id;
  std::size_t nibble = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (is_dash(at)) {
      if (text[at] != '-') return std::nullopt;
      continue;
    }
    const int value = hex_value(text[at]);
    if (value < 0) return std::nullopt;
    std::uint64_t& word = nibble < 16 ? id.hi : id.lo;
    word = (word << 4U) | static_cast<std::uint64_t>(value);
    ++nibble;
  }
  return id;
}

std::uint64_t Uuid7Generator::next_random() noexcept {
  // splitmix64: full period and no zero state, which a plain xorshift would have.
  random_state_ += 0x9E3779B97F4A7C15;
  std::uint64_t z = random_state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EB;
  return z ^ (z >> 31U);
}

EventId Uuid7Generator::next(WallTime now) noexcept {
  const auto ms = static_cast<std::uint64_t>(to_us(now) / 1000);
  constexpr std::uint32_t counter_max = 0xFFF;
  if (ms > last_ms_) {
    last_ms_ = ms;
    counter_ = 0;
  } else if (++counter_ > counter_max) {
    // More than 4096 ids in one millisecond (or the clock went back): borrow from the future
    // rather than repeat, as RFC 9562 section 6.2 allows.
    ++last_ms_;
    counter_ = 0;
  }
  constexpr std::uint64_t version = 0x7000;
  constexpr std::uint64_t variant = 0x8000000000000000;
  return EventId{.hi = (last_ms_ << 16U) | version | counter_,
                 .lo = variant | (next_random() >> 2U)};
}

}  // namespace tocsin
