#pragma once
// Token buckets in integer arithmetic on monotonic time: a bucket is one time stamp, the moment
// when it will be full again (the "virtual scheduling" form of the leaky bucket, ITU-T I.371).

#include <algorithm>
#include <cstdint>
#include <optional>

#include <tocsin/time.hpp>

namespace tocsin::flow {

/// Rate and size that many buckets share. The bucket itself is a MonoTime that starts at
/// `MonoTime::min()`, which is a full bucket.
class TokenRate {
 public:
  /// Tokens a second (0: no limit), and how many a bucket holds (0: those of one second).
  constexpr TokenRate(std::uint32_t rate, std::uint32_t burst) noexcept
      : rate_(rate), burst_(burst == 0 ? std::max(rate, 1U) : burst) {}

  bool operator==(const TokenRate&) const = default;

  [[nodiscard]] constexpr bool limited() const noexcept { return rate_ > 0; }
  [[nodiscard]] constexpr std::uint32_t burst() const noexcept { return burst_; }
  /// How long a bucket that holds nothing takes to fill.
  [[nodiscard]] constexpr Duration window() const noexcept { return cost(burst_); }

  /// Takes `tokens`; or takes nothing and returns how long until they will be there. More than the
  /// bucket holds are given when it is full, and it then owes the rest: so a large request is not
  /// refused for ever, and the rate holds all the same. 0 asks for one without taking it.
  [[nodiscard]] constexpr std::optional<Duration> take(MonoTime& full_at, std::uint32_t tokens,
                                                       MonoTime now) const noexcept {
    const MonoTime level = std::max(full_at, now);
    const Duration room = window() - std::min(cost(std::max(tokens, 1U)), window());
    if (level - now > room) return level - now - room;
    full_at = level + cost(tokens);
    return std::nullopt;
  }
  /// Puts back what take() took.
  constexpr void give_back(MonoTime& full_at, std::uint32_t tokens) const noexcept {
    if (full_at > MonoTime{}) full_at -= cost(tokens);  // Else it was forgotten meanwhile: full.
  }
  [[nodiscard]] constexpr std::uint32_t left(MonoTime full_at, MonoTime now) const noexcept {
    const Duration missing = std::max(full_at, now) - now;
    if (missing >= window()) return 0;
    const auto ns = static_cast<std::uint64_t>((window() - missing).count());
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(
        burst_, (ns / second_ns) * rate_ + (ns % second_ns) * rate_ / second_ns));
  }

 private:
  static constexpr std::uint64_t second_ns = 1'000'000'000;

  // 2^32 tokens of a second each fit.
  [[nodiscard]] constexpr Duration cost(std::uint32_t tokens) const noexcept {
    return Duration(static_cast<std::int64_t>(tokens * second_ns / rate_));
  }

  std::uint32_t rate_;
  std::uint32_t burst_;
};

}  // namespace tocsin::flow
