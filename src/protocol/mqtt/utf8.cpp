#include "protocol/mqtt/utf8.hpp"

#include <cstdint>
#include <cstring>

#include "protocol/utf8.hpp"

namespace tocsin::mqtt {
namespace {

constexpr std::uint64_t ones = 0x0101010101010101;
constexpr std::uint64_t tops = 0x8080808080808080;

std::uint64_t load_word(const char* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The high bits of bytes that are NUL or not ASCII; further ones only behind such a byte.
std::uint64_t unusual_bytes(std::uint64_t word) noexcept { return (word | (word - ones)) & tops; }

// The same for wildcards.
std::uint64_t wildcard_bytes(std::uint64_t word) noexcept {
  // "+" and "#" differ in one bit: without it, one comparison finds both.
  static_assert(('+' & 0xF7) == '#' && ('#' & 0xF7) == '#');
  constexpr std::uint64_t without_bit = 0xF7F7F7F7F7F7F7F7;
  const std::uint64_t rest = (word & without_bit) ^ (ones * '#');
  return (rest - ones) & ~rest & tops;
}

}  // namespace

bool plain_topic_name(std::string_view text) noexcept {
  if (text.size() < 8) return false;
  // The last word may overlap the one before it.
  const char* const last = text.data() + text.size() - 8;
  std::uint64_t found = unusual_bytes(load_word(last)) | wildcard_bytes(load_word(last));
  for (const char* at = text.data(); at < last; at += 8) {
    found |= unusual_bytes(load_word(at)) | wildcard_bytes(load_word(at));
  }
  return found == 0;
}

bool string_valid(std::string_view text) noexcept {
  while (!text.empty()) {
    if (text.size() >= 8) {
      // Eight ASCII bytes, none of them NUL: what topics are made of.
      if (unusual_bytes(load_word(text.data())) == 0) {
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
  const char* at = topic.data();
  const char* const end = at + topic.size();
  for (; end - at >= 8; at += 8) {
    if (wildcard_bytes(load_word(at)) != 0) return true;
  }
  for (; at < end; ++at) {
    if (*at == '+' || *at == '#') return true;
  }
  return false;
}

}  // namespace tocsin::mqtt
