#include "base/base64.hpp"

#include <cassert>
#include <cstdint>

namespace tocsin {
namespace {

constexpr std::uint32_t invalid = 64;

std::uint32_t digit(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a') + 26;
  if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0') + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return invalid;
}

}  // namespace

std::optional<std::size_t> base64_decode(std::string_view raw, std::span<char> out) noexcept {
  assert(out.size() >= base64_decoded_max(raw));
  std::size_t written = 0;
  std::uint32_t bits = 0;
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    // Some encoders write every slash with an escape.
    if (raw[i] == '\\' && i + 1 < raw.size() && raw[i + 1] == '/') ++i;
    if (raw[i] == '=') {
      ++padding;
      continue;
    }
    const std::uint32_t value = digit(raw[i]);
    if (value == invalid || padding > 0) return std::nullopt;
    bits = bits << 6U | value;
    ++digits;
    if (digits % 4 == 0) {
      out[written++] = static_cast<char>(bits >> 16U);
      out[written++] = static_cast<char>(bits >> 8U);
      out[written++] = static_cast<char>(bits);
    }
  }
  const std::size_t rest = digits % 4;
  if (padding > 2 || (digits + padding) % 4 != 0 || rest == 1) return std::nullopt;
  if (rest == 2) {
    out[written++] = static_cast<char>(bits >> 4U);
  } else if (rest == 3) {
    out[written++] = static_cast<char>(bits >> 10U);
    out[written++] = static_cast<char>(bits >> 2U);
  }
  return written;
}

}  // namespace tocsin
