#pragma once
// Seeded chance for the simulator. Every part of the world has its own stream of numbers, so that
// one more disk operation does not change what the network does.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include <tocsin/time.hpp>

namespace tocsin::io {

/// SplitMix64. One thread.
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EB;
    return z ^ (z >> 31U);
  }
  /// Uniform in [0, bound). The bias of the modulo is of no interest here.
  std::uint64_t below(std::uint64_t bound) noexcept {
    assert(bound > 0);
    return next() % bound;
  }
  /// Uniform in [low, high].
  Duration between(Duration low, Duration high) noexcept {
    if (high <= low) return low;
    return low + Duration{static_cast<std::int64_t>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1))};
  }
  /// True with `probability`. Certainties use no number.
  bool chance(double probability) noexcept {
    if (probability <= 0.0) return false;
    if (probability >= 1.0) return true;
    return static_cast<double>(next() >> 11U) * 0x1.0p-53 < probability;
  }
  void fill(std::span<std::byte> into) noexcept {
    for (std::byte& byte : into) byte = static_cast<std::byte>(next() >> 56U);
  }

 private:
  std::uint64_t state_;
};

}  // namespace tocsin::io
