#include "stages/journal/journal_metrics.hpp"

#include <cerrno>

namespace tocsin::journal {

FailureKind failure_kind(io::Errno error) noexcept {
  switch (error) {
    case ENOSPC:
    case EFBIG:
    case EDQUOT:
      return FailureKind::no_space;
    case EIO:
      return FailureKind::io;
    default:
      return FailureKind::other;
  }
}

std::string_view to_string(FailureKind kind) noexcept {
  switch (kind) {
    case FailureKind::no_space:
      return "no_space";
    case FailureKind::io:
      return "io";
    case FailureKind::other:
      return "other";
  }
  return "other";
}

void Metrics::note(const RecoveryReport& report) noexcept {
  recovered_events.add(report.events);
  torn_segments.add(report.torn_segments);
  torn_bytes.add(report.torn_bytes);
  damaged_regions.add(report.damaged_regions + report.unreadable_segments);
  damaged_bytes.add(report.damaged_bytes);
}

void Metrics::describe(MetricSink& sink) const {
  const auto gauge = [](const std::atomic<std::uint64_t>& value) {
    return static_cast<double>(value.load(std::memory_order_relaxed));
  };
  sink.counter("tocsin_journal_appended_events_total", "Events made durable.", {},
               appended_events.get());
  sink.counter("tocsin_journal_appended_bytes_total", "Bytes made durable, padding included.", {},
               appended_bytes.get());
  sink.counter("tocsin_journal_commits_total", "Group commits that succeeded.", {}, commits.get());
  for (std::size_t i = 0; i < failure_kind_count; ++i) {
    sink.counter("tocsin_journal_commit_failures_total",
                 "Commits, and openings of files, that failed.",
                 {{"kind", to_string(static_cast<FailureKind>(i))}}, failures[i].get());
  }
  sink.counter("tocsin_journal_failed_events_total",
               "Events whose acknowledgement was refused because they could not be stored.", {},
               failed_events.get());
  sink.counter("tocsin_journal_accepted_lost_total",
               "Events acknowledged at level accepted that could not be stored.", {},
               accepted_lost.get());
  sink.histogram("tocsin_journal_commit_seconds", "From the start of a commit until it is durable.",
                 {}, commit_latency);
  sink.gauge("tocsin_journal_segments", "Files of the journal.", {}, gauge(segment_count));
  sink.gauge("tocsin_journal_disk_bytes", "Size of the journal's files.", {}, gauge(disk_bytes));
  sink.counter("tocsin_journal_segments_deleted_total",
               "Files that retention took from the journal.", {}, segments_deleted.get());
  sink.counter("tocsin_journal_segments_recycled_total",
               "Of these, files that serve again and were not deleted.", {},
               segments_recycled.get());
  sink.gauge("tocsin_journal_last_sequence", "Sequence of the last durable event.", {},
             gauge(last_sequence));
  sink.counter("tocsin_journal_recovered_events_total", "Events found by this start.", {},
               recovered_events.get());
  sink.counter("tocsin_journal_torn_segments_total", "Files whose unfinished end was cut.", {},
               torn_segments.get());
  sink.counter("tocsin_journal_torn_bytes_total", "Bytes cut off as unfinished.", {},
               torn_bytes.get());
  sink.counter("tocsin_journal_damaged_regions_total",
               "Damaged places that this start stepped over.", {}, damaged_regions.get());
  sink.counter("tocsin_journal_damaged_bytes_total", "Bytes in such places.", {},
               damaged_bytes.get());
}

}  // namespace tocsin::journal
