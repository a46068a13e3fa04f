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
/// Writes zeros over a whole file, slowly, and syncs it, so that later commits change no metadata
/// (an unwritten extent costs a file-system commit each fdatasync). When the file is wanted before
/// that is done, what is missing is allocated instead: at such a rate commits are large, and a disk
/// that has to write everything twice is what bounds them. Once there are enough files, each serves
/// again: no zeros, nothing to delete, half the wear. One at a time. After a failure it tries again
/// by itself, with growing pauses. The journal loop's thread.
class SegmentPreparer final : io::FileHandler, flow::Timer {
 public:
  SegmentPreparer(flow::Loop& loop, std::string directory, const Options& options);
  ~SegmentPreparer();

  /// Begins a spare file unless one is there or on its way.
  void start();
  /// Takes over a file that the journal needs no more, of `bytes`, and is ready: it needs no zeros.
  /// False, and nothing has changed, when it is of no use. Durable together with the next name.
  [[nodiscard]] bool adopt(const std::string& path, std::uint64_t bytes);
  /// The spare that is ready was another segment.
  [[nodiscard]] bool adopted() const noexcept { return state_ == State::ready && adopted_; }
  /// The spare is wanted soon: no more zeros, unless the file system cannot do without; then it
  /// takes as much of the disk as there is. Until the next take().
  void hurry();
  [[nodiscard]] bool ready() const noexcept { return state_ == State::ready; }
  /// Waits for the next try.
  [[nodiscard]] bool failed() const noexcept { return state_ == State::failed; }
  /// No operation is in flight.
  [[nodiscard]] bool quiet() const noexcept { return pending_ == 0 && state_ != State::naming; }
  [[nodiscard]] io::Errno last_error() const noexcept { return last_error_; }
  /// Failures so far.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
  /// Size of the file that is taken after `ahead` others.
  [[nodiscard]] std::uint64_t size_of_next(std::size_t ahead) const noexcept;
  /// Begins to give the spare, which is ready, its name, durably. On an error it is gone, and
  /// failed() holds.
  void name(const SegmentKey& key);
  /// take() may be called.
  [[nodiscard]] bool named() const noexcept { return state_ == State::named; }
  /// Hands the file over.
  [[nodiscard]] io::FileId take() noexcept;
  /// Starts nothing new any more.
  void stop() noexcept;

 private:
  enum class State : std::uint8_t { idle, filling, ready, naming, named, failed };
  void on_file_done(io::Errno error) noexcept override;
  void on_timer(MonoTime now) noexcept override;
  void allocate_rest();
  void fill();
  void finish_filling();
  void finish_naming(io::Errno error) noexcept;
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
  bool adopted_ = false;
  bool stopped_ = false;
  io::FileId file_;
  std::string name_;  // What the spare is called from now on.
  bool hurried_ = false;
  std::uint64_t next_ = 0;  // Up to where nothing is left to begin.
  std::uint32_t pending_ = 0;
  io::Errno write_error_ = 0;
  Duration delay_;
  std::uint64_t failures_ = 0;
  io::Errno last_error_ = 0;
};

}  // namespace tocsin::journal
