#pragma once
// Makes the next segment file ahead of its use.

#include <cstdint>
#include <string>

#include "flow/loop.hpp"
#include "stages/journal/options.hpp"
#include "stages/journal/segment.hpp"

namespace tocsin::journal {

/// Makes files of growing size, so that the first is there a few milliseconds after the start and a
/// small journal stays small: 4 MiB, then four times as much each time up to `segment_size`.
///
/// Writes zeros over a whole file and syncs it, so that later commits change no metadata (an
/// unwritten extent costs a file-system commit each fdatasync). One at a time. After a failure it
/// tries again by itself, with growing pauses. The journal loop's thread.
class SegmentPreparer final : io::FileHandler, flow::Timer {
 public:
  SegmentPreparer(flow::Loop& loop, std::string directory, const Options& options);
  ~SegmentPreparer();

  /// Begins a spare file unless one is there or on its way.
  void start();
  /// The spare is wanted soon: takes as much of the disk as there is. Until the next take(). Else
  /// one write at a time leaves the disk to commits.
  void hurry();
  [[nodiscard]] bool ready() const noexcept { return state_ == State::ready; }
  /// Waits for the next try.
  [[nodiscard]] bool failed() const noexcept { return state_ == State::failed; }
  /// No operation is in flight.
  [[nodiscard]] bool quiet() const noexcept { return state_ != State::filling; }
  [[nodiscard]] io::Errno last_error() const noexcept { return last_error_; }
  /// Failures so far.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
  /// Size of the file that is taken after `ahead` others.
  [[nodiscard]] std::uint64_t size_of_next(std::size_t ahead) const noexcept;
  /// Gives the spare its name, durably. Blocking. On an error it is gone, failed() holds.
  [[nodiscard]] Result<io::FileId, io::Errno> take(std::uint64_t segment_id);
  /// Starts nothing new any more.
  void stop() noexcept;

 private:
  enum class State : std::uint8_t { idle, filling, ready, failed };
  void on_file_done(io::Errno error) noexcept override;
  void on_timer(MonoTime now) noexcept override;
  void fill();
  void finish_filling();
  void fail(io::Errno error) noexcept;

  flow::Loop& loop_;
  const std::string directory_;
  const std::string spare_path_;
  const std::uint64_t size_max_;
  std::uint64_t size_;  // Of the file that is prepared now or next.
  const Duration delay_min_;
  const Duration delay_max_;
  AlignedBuffer zeros_;
  State state_ = State::idle;
  bool file_open_ = false;
  bool stopped_ = false;
  io::FileId file_;
  bool hurried_ = false;
  std::uint64_t next_ = 0;  // Up to where writes have begun.
  std::uint32_t pending_ = 0;
  io::Errno write_error_ = 0;
  Duration delay_;
  std::uint64_t failures_ = 0;
  io::Errno last_error_ = 0;
};

}  // namespace tocsin::journal
