#pragma once
// What the journal counts.

#include <array>
#include <atomic>
#include <cstdint>

#include "base/metrics.hpp"
#include "io/io.hpp"
#include "stages/journal/recovery.hpp"

namespace tocsin::journal {

/// Closed set: a metric label.
enum class FailureKind : std::uint8_t { no_space, io, other };
inline constexpr std::size_t failure_kind_count = 3;
[[nodiscard]] FailureKind failure_kind(io::Errno error) noexcept;
[[nodiscard]] std::string_view to_string(FailureKind kind) noexcept;

struct Metrics {
  Counter appended_events;  ///< Durable.
  Counter appended_bytes;
  Counter commits;
  std::array<Counter, failure_kind_count> failures;  ///< Of commits and of opening files.
  Counter failed_events;                             ///< Refused because of such a failure.
  Counter accepted_lost;
  Counter segments_deleted;
  Counter segments_recycled;
  Histogram commit_latency;
  Counter recovered_events;
  Counter torn_segments;
  Counter torn_bytes;
  Counter damaged_regions;
  Counter damaged_bytes;
  std::atomic<bool> writable{true};
  std::atomic<std::uint64_t> last_sequence{0};
  std::atomic<std::uint64_t> segment_count{0};
  std::atomic<std::uint64_t> disk_bytes{0};

  void note(const RecoveryReport& report) noexcept;
  void describe(MetricSink& sink) const;
};

}  // namespace tocsin::journal
