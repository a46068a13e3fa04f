#pragma once
// Decimal digits, eight at a time. Private to this folder.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tocsin::json {

/// Eight bytes of text; the first is the lowest: blocks too ask for a little-endian machine.
[[nodiscard]] inline std::uint64_t load_word(const char* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// The high bit of each byte that is no digit.
[[nodiscard]] inline std::uint64_t other_bytes(std::uint64_t word) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101;
  const std::uint64_t distance = word ^ (ones * '0');
  return (((distance & ones * 0x7F) + ones * 0x76) | distance) & ones * 0x80;
}
/// The same among the first `size` of up to eight bytes.
[[nodiscard]] inline std::uint64_t other_bytes(std::uint64_t word, std::size_t size) noexcept {
  const std::uint64_t others = other_bytes(word);
  return size >= 8 ? others : others & ((std::uint64_t{1} << (8 * size)) - 1);
}

inline constexpr std::size_t digits_counted_max = 24;
/// How many digits stand at `at`, at most digits_counted_max; so many bytes are readable there.
[[nodiscard]] inline std::size_t count_digits(const char* at) noexcept {
  for (std::size_t i = 0; i < digits_counted_max; i += sizeof(std::uint64_t)) {
    const std::uint64_t others = other_bytes(load_word(at + i));
    if (others != 0) return i + static_cast<std::size_t>(std::countr_zero(others)) / 8;
  }
  return digits_counted_max;
}

/// So many digits fit 64 bits, whatever they are; with a sign, one less.
inline constexpr std::size_t digits_safe_max = 19;

}  // namespace tocsin::json
