#pragma once
// The two clocks. Windows, retries and timeouts use MonoTime; expiry and schedules use WallTime
// once it is trusted; the producer's time is data.

#include <array>
#include <chrono>
#include <cstdint>

namespace tocsin {

using Duration = std::chrono::nanoseconds;

/// Monotonic time within one boot; comparable only together with the same BootId.
struct MonoClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonoClock>;
  static constexpr bool is_steady = true;
};
using MonoTime = MonoClock::time_point;

/// Wall-clock time, UTC since 1970. May jump both ways.
struct WallClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<WallClock>;
  static constexpr bool is_steady = false;
};
using WallTime = WallClock::time_point;

/// Identifies one boot of the machine (16 random bytes, as in /proc/sys/kernel/random/boot_id).
using BootId = std::array<std::uint8_t, 16>;

template <class TimePoint>
[[nodiscard]] constexpr std::int64_t to_us(TimePoint t) noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch()).count();
}
template <class TimePoint>
[[nodiscard]] constexpr TimePoint from_us(std::int64_t us) noexcept {
  return TimePoint{std::chrono::microseconds{us}};
}

}  // namespace tocsin
