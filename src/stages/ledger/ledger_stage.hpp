#pragma once
// The ledger: which events are finished, and how notifications ended.

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/loop.hpp"
#include "flow/outcome.hpp"
#include "flow/settlement.hpp"
#include "stages/ledger/cursor_file.hpp"
#include "stages/ledger/options.hpp"
#include "stages/ledger/outcome_log.hpp"

namespace tocsin::ledger {

/// On the journal's loop, but for on_outcome(), outcomes() and describe(): any thread.
///
/// Order of use: recover() before the journal's, start(), then drain() at the end.
class LedgerStage final : public flow::Receiver,
                          public flow::SettlementRegistry,
                          public flow::OutcomeSink,
                          public MetricSource,
                          flow::Timer,
                          CursorFile::Listener {
 public:
  /// `ranges`: how many can wait at once; batches + notifications of the pools. More are made only
  /// for what is settled while its message is still on its way.
  LedgerStage(flow::Loop& loop, const std::string& data_directory, const Options& options,
              std::size_t ranges, Log log);
  LedgerStage(const LedgerStage&) = delete;
  LedgerStage& operator=(const LedgerStage&) = delete;
  ~LedgerStage();

  /// Reads the cursor. Blocking. The text of an error is for the user.
  [[nodiscard]] Result<void, std::string> recover();
  /// Begins to write the cursor.
  void start();
  void on_message(const flow::Message& message) noexcept override;

  [[nodiscard]] flow::SettlementRange* register_range(std::uint64_t first, std::uint64_t last,
                                                      std::uint32_t outstanding) override;
  void set_durable_end(std::uint64_t sequence) noexcept override;
  [[nodiscard]] std::uint64_t cursor() const noexcept override { return file_.value(); }
  /// Everything up to here is settled; the cursor follows.
  [[nodiscard]] std::uint64_t settled_end() const noexcept;
  /// Blocks that wait for workers or notifications.
  [[nodiscard]] std::size_t pending_ranges() const noexcept {
    return pending_.load(std::memory_order_relaxed);
  }
  /// Writes the cursor now. True when the disk has the newest value (or the last try to write it
  /// failed); else call again after a turn.
  [[nodiscard]] bool drain();

  void on_outcome(const flow::Notification& notification, flow::Outcome outcome,
                  DeliveryError error) noexcept override;
  [[nodiscard]] const OutcomeLog& outcomes() const noexcept { return outcomes_; }
  void describe(MetricSink& sink) const override;

 private:
  void on_timer(MonoTime now) noexcept override;
  void on_cursor_written(io::Errno error) noexcept override;
  void settle(flow::SettlementRange& range) noexcept;
  void unlink(flow::SettlementRange& range) noexcept;

  flow::Loop& loop_;
  const Options options_;
  Log log_;
  CursorFile file_;
  OutcomeLog outcomes_;
  std::deque<flow::SettlementRange> ranges_;  // A deque, because ranges must not move.
  flow::SettlementRange* free_ = nullptr;     // Linked by `next`.
  flow::SettlementRange* head_ = nullptr;     // Unsettled, ascending.
  flow::SettlementRange* tail_ = nullptr;
  std::uint64_t registered_end_ = 0;
  std::uint64_t durable_end_ = 0;
  bool draining_ = false;
  bool write_failed_ = false;
  std::atomic<std::size_t> pending_{0};
  std::atomic<std::uint64_t> cursor_shown_{0};
  Counter cursor_writes_;
  Counter cursor_failures_;
};

}  // namespace tocsin::ledger
