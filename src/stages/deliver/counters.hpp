#pragma once
// What one channel counts. Written on the deliver loop, read by any thread; kept across reloads.

#include <array>
#include <cstdint>
#include <string_view>

#include <tocsin/channel.hpp>

#include "base/metrics.hpp"

namespace tocsin::deliver {

inline constexpr std::size_t delivery_error_count =
    static_cast<std::size_t>(DeliveryError::shutdown) + 1;
inline constexpr std::size_t verdict_count = static_cast<std::size_t>(Verdict::auth) + 1;

/// The identity created = sent + dead + cancelled + expired + pending holds at every moment on the
/// loop's thread.
struct LaneCounters {
  Counter created;
  Counter sent;
  std::array<Counter, delivery_error_count> dead;  ///< By reason.
  Counter cancelled;
  Counter expired;
  SharedCounter pending;   ///< Gauge: accepted and not ended.
  SharedCounter inflight;  ///< Gauge: of these, in an attempt.
  std::array<Counter, verdict_count> attempts;
  std::array<Counter, delivery_error_count> errors;  ///< Attempts that failed, by reason.
  Counter restarts;                                  ///< Of a channel that got stuck.
  Histogram delivery;                                ///< From received to sent.
  Histogram attempt;

  [[nodiscard]] std::uint64_t dead_total() const noexcept;
  void describe(std::string_view channel, MetricSink& sink) const;
};

}  // namespace tocsin::deliver
