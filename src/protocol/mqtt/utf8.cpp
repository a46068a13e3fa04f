#include "protocol/mqtt/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace tocsin::mqtt {
namespace {

struct Sequence {
  std::size_t size;         // 0: no sequence begins with this byte.
  std::uint8_t second_min;  // Narrower for the leads that could form overlongs, surrogates or
  std::uint8_t second_max;  // values above U+10FFFF (Unicode table 3-7).
};

constexpr std::uint64_t ones = 0x0101010101010101;
constexpr std::uint64_t tops = 0x8080808080808080;

constexpr Sequence sequence_of(std::uint8_t lead) noexcept {
  if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

bool utf8_valid(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    if (end - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, 8);
      // Eight ASCII bytes, none of them NUL: what topics are made of.
      if (((word | (word - ones)) & tops) == 0) {
        at += 8;
        continue;
      }
    }
    const auto lead = static_cast<std::uint8_t>(*at);
    if (lead == 0) return false;
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const Sequence sequence = sequence_of(lead);
    if (sequence.size == 0 || static_cast<std::size_t>(end - at) < sequence.size) return false;
    const auto second = static_cast<std::uint8_t>(at[1]);
    if (second < sequence.second_min || second > sequence.second_max) return false;
    for (std::size_t i = 2; i < sequence.size; ++i) {
      if ((static_cast<std::uint8_t>(at[i]) & 0xC0U) != 0x80U) return false;
    }
    at += sequence.size;
  }
  return true;
}

bool has_wildcard(std::string_view topic) noexcept {
  // "+" and "#" differ in one bit: without it, one comparison finds both.
  static_assert(('+' & 0xF7) == '#' && ('#' & 0xF7) == '#');
  constexpr std::uint64_t without_bit = 0xF7F7F7F7F7F7F7F7;
  constexpr std::uint64_t wanted = ones * '#';
  const char* at = topic.data();
  const char* const end = at + topic.size();
  for (; end - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    word = (word & without_bit) ^ wanted;
    if (((word - ones) & ~word & tops) != 0) return true;
  }
  for (; at < end; ++at) {
    if (*at == '+' || *at == '#') return true;
  }
  return false;
}

}  // namespace tocsin::mqtt
