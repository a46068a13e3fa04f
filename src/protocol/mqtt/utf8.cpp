#include "protocol/mqtt/utf8.hpp"

#include <cstdint>
#include <cstring>

#include "protocol/utf8.hpp"

namespace tocsin::mqtt {
namespace {

constexpr std::uint64_t ones = 0x0101010101010101;
constexpr std::uint64_t tops = 0x8080808080808080;

}  // namespace

bool string_valid(std::string_view text) noexcept {
  while (!text.empty()) {
    if (text.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data(), 8);
      // Eight ASCII bytes, none of them NUL: what topics are made of.
      if (((word | (word - ones)) & tops) == 0) {
        text.remove_prefix(8);
        continue;
      }
    }
    const std::size_t size = text.front() == '\0' ? 0 : utf8_sequence(text);
    if (size == 0) return false;
    text.remove_prefix(size);
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
