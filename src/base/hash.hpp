#pragma once
// Hashes: a fast 64-bit one for tables and shards, and a 128-bit one for ids that must be stable
// for ever. Neither resists an adversary unless seeded with a secret.

#include <cstdint>
#include <cstring>
#include <string_view>

namespace tocsin {

namespace detail {
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
#ifdef __SIZEOF_INT128__
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
#else
  // 32-bit machines: the same product from four halves.
  const std::uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
  const std::uint64_t mid1 = (a >> 32U) * (b & UINT32_MAX) + (low >> 32U);
  const std::uint64_t mid2 = (a & UINT32_MAX) * (b >> 32U) + (mid1 & UINT32_MAX);
  const std::uint64_t high = (a >> 32U) * (b >> 32U) + (mid1 >> 32U) + (mid2 >> 32U);
  return ((mid2 << 32U) | (low & UINT32_MAX)) ^ high;
#endif
}
inline std::uint64_t read_tail(const char* at, std::size_t size) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, size);
  return word;
}
}  // namespace detail

/// Multiply-fold hash. The result is part of the record format (partition_hash), so it must not
/// change: tests pin values.
inline std::uint64_t hash64(std::string_view text, std::uint64_t seed = 0) noexcept {
  constexpr std::uint64_t k0 = 0x9E3779B97F4A7C15;
  constexpr std::uint64_t k1 = 0xD1B54A32D192ED03;
  std::uint64_t state = seed ^ detail::mix(text.size() ^ k0, k1);
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left > 8; left -= 8, at += 8) {
    state = detail::mix(state ^ detail::read_tail(at, 8) ^ k1, k0);
  }
  if (left > 0) state = detail::mix(state ^ detail::read_tail(at, left) ^ k0, k1);
  return detail::mix(state ^ k1, k0);
}

/// 128 bits that stand for one or more texts.
struct Hash128 {
  std::uint64_t hi = 0x243F6A8885A308D3;
  std::uint64_t lo = 0x13198A2E03707344;
  bool operator==(const Hash128&) const = default;
};

/// Adds one text to a hash; sizes count, so that ("ab", "c") and ("a", "bc") differ. Notification
/// ids are made of it, so the result must not change: tests pin values.
inline Hash128 hash128(std::string_view text, Hash128 state = {}) noexcept {
  // Two folds that see each other's state, so that the halves do not collide together.
  const std::uint64_t hi = hash64(text, state.hi ^ detail::mix(state.lo, 0xA4093822299F31D1));
  const std::uint64_t lo = hash64(text, state.lo + detail::mix(hi, 0x082EFA98EC4E6C89));
  return {hi, lo};
}

}  // namespace tocsin
