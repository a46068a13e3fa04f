#pragma once
// The journal: gives events their sequence, makes them durable in groups, and hands them on. The
// format of its files is in README.md.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "flow/batch.hpp"
#include "flow/loop.hpp"
#include "flow/settlement.hpp"
#include "stages/journal/commit_layout.hpp"
#include "stages/journal/journal_metrics.hpp"
#include "stages/journal/options.hpp"
#include "stages/journal/preparer.hpp"
#include "stages/journal/recovery.hpp"
#include "stages/journal/replay.hpp"
#include "stages/journal/segment.hpp"

namespace tocsin::journal {

/// Lives on one loop: everything but the constructor, recover() and describe() on its thread.
///
/// Order of use: recover() before the loop runs, start(), messages, drained(), close().
class JournalStage final : public flow::Receiver, public MetricSource, flow::Ticker {
 public:
  /// `object` is a sealed flow::Batch with one holder for the journal.
  static constexpr std::uint32_t message_append = 1;

  /// `data_directory` exists and is locked by this process. The registry is on the same loop.
  JournalStage(flow::Loop& loop, flow::BatchPool& pool, flow::SettlementRegistry& registry,
               const std::string& data_directory, const Options& options, Wiring wiring, Log log);
  JournalStage(const JournalStage&) = delete;
  JournalStage& operator=(const JournalStage&) = delete;
  ~JournalStage();

  /// Reads what is there; the ledger has read its cursor before. Blocking. The text of an error is
  /// for the user, and nothing was changed then.
  [[nodiscard]] Result<RecoveryReport, std::string> recover();
  /// Begins to work: events behind the cursor go to the workers again, first.
  void start();
  void on_message(const flow::Message& message) noexcept override;
  /// Nothing is waiting or on its way to the disk.
  [[nodiscard]] bool drained() const noexcept;
  [[nodiscard]] bool replaying() const noexcept { return replay_.active(); }
  /// For a drain: what was not read back yet is left to the next start.
  void stop_replay() noexcept { replay_.stop(); }
  /// Ends work after a drain: no new file is begun, the last one is cut to what it holds. Returns
  /// false while a file is still being prepared; then call again after a turn.
  [[nodiscard]] bool close();

  [[nodiscard]] std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  void describe(MetricSink& sink) const override;
  [[nodiscard]] const Metrics& metrics() const noexcept { return metrics_; }
  /// Whether the last thing that was tried on the disk worked. Any thread.
  [[nodiscard]] bool writable() const noexcept {
    return metrics_.writable.load(std::memory_order_relaxed);
  }

 private:
  struct Segment {
    SegmentKey key;
    std::uint64_t capacity = 0;   ///< Size of its file.
    std::uint64_t placed = 0;     ///< What blocks that have their place take at most.
    std::uint64_t started = 0;    ///< Where the next commit goes.
    std::uint64_t committed = 0;  ///< End of the last good commit.
    std::uint64_t last_sequence = 0;
    std::uint32_t users = 0;  ///< Blocks queued for it or in flight.
    io::FileId file;
    bool opened = false;
    bool failed = false;   ///< Never written again.
    bool retired = false;  ///< Takes no further blocks.
  };
  struct Entry {
    flow::Batch* batch = nullptr;
    Segment* segment = nullptr;          ///< Null until it has its place and sequence.
    std::span<const std::byte> bytes{};  ///< With zeros up to the end of its page.
    std::uint64_t last_sequence = 0;
    bool acknowledged = false;  ///< The reactor has it.
    bool forwarded = false;     ///< The workers have it.
  };
  struct Commit final : io::FileHandler {
    Commit(JournalStage& owner, std::size_t blocks_max, std::size_t staging_size)
        : stage(owner), layout(blocks_max, staging_size) {
      entries.reserve(blocks_max);
    }
    JournalStage& stage;
    Segment* segment = nullptr;
    std::vector<Entry> entries;
    CommitLayout layout;
    bool done = false;
    MonoTime started{};
    void on_file_done(io::Errno error) noexcept override;
  };

  MonoTime on_tick(MonoTime now) noexcept override;
  void append(flow::Batch& batch) noexcept;
  void place_queued() noexcept;
  void plan_segment() noexcept;
  void name_segment() noexcept;
  void place(Entry& entry) noexcept;
  [[nodiscard]] bool may_linger(MonoTime now) const noexcept;
  MonoTime pump(MonoTime now) noexcept;
  [[nodiscard]] bool can_write() const noexcept;
  [[nodiscard]] bool open_segment(Segment& segment) noexcept;
  void start_commit(Segment& segment, MonoTime now) noexcept;
  void end_commit(Commit& commit, io::Errno error) noexcept;
  void finish_in_order() noexcept;
  void finish(Commit& commit) noexcept;
  void succeed(Entry& entry) noexcept;
  void fail(Entry& entry) noexcept;
  void fail_queue(bool only_failed_segments) noexcept;
  void acknowledge(Entry& entry, bool stored) noexcept;
  void note_failure(io::Errno error, const char* what) noexcept;
  void note_preparer_failures() noexcept;
  void abandon(Segment& segment) noexcept;
  void close_unused_segments() noexcept;
  void apply_retention() noexcept;
  [[nodiscard]] bool drop(const SegmentInfo& info) noexcept;
  void update_gauges() noexcept;
  [[nodiscard]] std::string path_of(const SegmentKey& key) const;
  [[nodiscard]] SegmentInfo* info_of(const SegmentKey& key) noexcept;

  flow::Loop& loop_;
  flow::SettlementRegistry& registry_;
  const std::string directory_;
  const Options options_;
  const Wiring wiring_;
  Log log_;
  SegmentPreparer preparer_;
  Replay replay_;
  Metrics metrics_;

  std::uint64_t next_sequence_ = 1;
  const std::size_t linger_batches_max_;
  MonoTime last_commit_{};
  std::vector<Entry> queue_;  // Reserved for every batch of the pool.
  std::vector<std::unique_ptr<Commit>> commits_;
  std::vector<Commit*> idle_commits_;
  std::vector<Commit*> order_;                      // Started, oldest first: the order of answers.
  std::vector<std::unique_ptr<Segment>> segments_;  // With open files or blocks to come.
  Segment* current_ = nullptr;                      // Where the next block goes.
  std::deque<SegmentInfo> catalogue_;               // On disk, oldest first.
  std::uint64_t preparer_failures_seen_ = 0;
  MonoTime next_failure_log_{};
  std::uint64_t failures_unlogged_ = 0;
  bool started_ = false;
};

}  // namespace tocsin::journal
