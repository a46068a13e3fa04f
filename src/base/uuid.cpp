#include "base/uuid.hpp"

#include "base/ascii.hpp"

namespace tocsin {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

constexpr bool is_dash(std::size_t at) noexcept {
  return at == 8 || at == 13 || at == 18 || at == 23;
}

}  // namespace

UuidText uuid_text(std::uint64_t hi, std::uint64_t lo) noexcept {
  // Where the two digits of each byte stand. Unrolled, this is no loop over characters.
  constexpr std::array<std::uint8_t, 16> places{0,  2,  4,  6,  9,  11, 14, 16,
                                                19, 21, 24, 26, 28, 30, 32, 34};
  UuidText text;
  text[8] = text[13] = text[18] = text[23] = '-';
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::uint64_t word = i < 8 ? hi : lo;
    const std::uint64_t byte = word >> (56 - 8 * (i % 8));
    text[places[i]] = digits[byte >> 4U & 0xFU];
    text[places[i] + 1U] = digits[byte & 0xFU];
  }
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
