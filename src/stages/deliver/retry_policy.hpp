#pragma once
// Decides what follows an attempt. Sans I/O: time and randomness come in as arguments.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <tocsin/channel.hpp>
#include <tocsin/time.hpp>

namespace tocsin::deliver {

/// "60s,5m" as durations. Nothing when an entry is not a positive number with unit ms, s, m, h or
/// d, when there are more than 32, or when one exceeds 30 days.
[[nodiscard]] std::optional<std::vector<Duration>> parse_schedule(std::string_view text);

struct Decision {
  enum class Kind : std::uint8_t { sent, retry, dead };
  Kind kind = Kind::sent;
  MonoTime retry_at{};                         ///< With `retry`.
  DeliveryError reason = DeliveryError::none;  ///< With `dead`.
};

struct RetryPolicy {
  std::vector<Duration> schedule{std::chrono::seconds{60}};  ///< Never empty.
  std::uint32_t attempts_max = 3;
  bool jitter = false;  ///< Full jitter: uniform between zero and the scheduled wait.

  /// A peer that asks for more patience than this is not obeyed.
  static constexpr Duration retry_after_max = std::chrono::hours{24};

  /// `attempts` counts the one that `attempt` reports.
  [[nodiscard]] Decision decide(const Attempt& attempt, std::uint32_t attempts, MonoTime now,
                                std::uint64_t random) const noexcept;
  bool operator==(const RetryPolicy&) const = default;
};

}  // namespace tocsin::deliver
