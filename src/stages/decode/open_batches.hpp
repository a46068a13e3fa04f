#pragma once
// The batches that one reactor is filling, one a level: when they are sealed, how they come back,
// and what happens when the pool has none left.

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include <tocsin/event.hpp>

#include "base/metrics.hpp"
#include "flow/batch.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"

namespace tocsin::decode {

/// Looks into payloads that were appended unseen.
class RunChecker {
 public:
  /// The records of `batch` from `first` on, all with tokens for `refusals`. Removes what it
  /// refuses.
  virtual void check_run(flow::Batch& batch, std::uint32_t first,
                         flow::RefusalSink& refusals) noexcept = 0;

 protected:
  ~RunChecker() = default;
};

/// Payloads checked in one pass: enough to spread the cost of its beginning, and few enough to be
/// still in the processor's first cache, with what the pass finds.
inline constexpr std::uint32_t run_records_max = 64;
inline constexpr std::size_t run_bytes_max = std::size_t{12} * 1024;

/// On the loop's thread, but for on_batch_available().
class OpenBatches final : public flow::Receiver,
                          public flow::BatchPool::Waiter,
                          private flow::Ticker {
 public:
  /// `owner`: what Batch::owner becomes. `inflight_max`: sealed, unacknowledged batches of one
  /// level above which a batch is left to fill. All references must outlive this.
  OpenBatches(flow::Loop& loop, flow::BatchPool& pool, flow::BatchSink& sink, RunChecker& checker,
              std::uint32_t owner, std::uint32_t inflight_max);
  OpenBatches(const OpenBatches&) = delete;
  OpenBatches& operator=(const OpenBatches&) = delete;
  ~OpenBatches();

  /// Whether every level has an open batch. When not, listeners are told once that has changed.
  [[nodiscard]] bool ready() noexcept;
  /// A batch of this level with room for one record of these sizes (which an empty batch has), or
  /// null: then listeners are told when it is worth trying again.
  [[nodiscard]] flow::Batch* room_for(Level level, std::size_t payload_size,
                                      std::size_t attrs_size) noexcept;
  /// To be called after each append to what room_for() returned.
  void appended(flow::Batch& batch) noexcept;
  /// The same for a record whose payload nobody has looked into yet. `refusals` must outlive this.
  [[nodiscard]] flow::Batch* room_for_unseen(Level level, std::size_t payload_size,
                                             std::size_t attrs_size,
                                             flow::RefusalSink& refusals) noexcept;
  void appended_unseen(flow::Batch& batch) noexcept;
  void add_ready_listener(flow::Intake::ReadyListener& listener) {
    listeners_.push_back(&listener);
  }
  /// From now on everything is sealed at once.
  void drain() noexcept { draining_ = true; }
  /// Nothing waits to be sealed or acknowledged.
  [[nodiscard]] bool idle() const noexcept;

  /// flow::message_batch_committed: releases the acknowledgements of a batch.
  void on_message(const flow::Message& message) noexcept override;
  /// Any thread.
  void on_batch_available() noexcept override;

  // Any thread.
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_.get(); }
  [[nodiscard]] std::uint64_t commit_failed() const noexcept { return commit_failed_.get(); }
  [[nodiscard]] const Histogram& ack_time() const noexcept { return ack_time_; }

 private:
  static constexpr std::uint32_t message_resume = 1;
  static constexpr std::size_t level_count = 2;
  struct Slot {
    flow::Batch* open = nullptr;
    MonoTime opened{};  // When its first record came.
    std::uint32_t inflight = 0;
    std::uint32_t seen = 0;                 // Records whose payloads were looked into.
    flow::RefusalSink* refusals = nullptr;  // Of the others.
  };

  MonoTime on_tick(MonoTime now) noexcept override;
  [[nodiscard]] Slot& slot(Level level) noexcept { return slots_[static_cast<std::size_t>(level)]; }
  [[nodiscard]] bool ensure(Slot& slot) noexcept;
  [[nodiscard]] flow::Batch* make_room(Slot& slot, Level level, std::size_t payload_size,
                                       std::size_t attrs_size) noexcept;
  [[nodiscard]] Duration patience(const Slot& slot) const noexcept;
  void check(Slot& slot) noexcept;
  void seal(Slot& slot) noexcept;
  void committed(flow::Batch& batch) noexcept;
  void record_ack_times(const flow::Batch& batch) noexcept;

  flow::Loop& loop_;
  flow::BatchPool& pool_;
  flow::BatchSink& sink_;
  RunChecker& checker_;
  const std::uint32_t owner_;
  const std::uint32_t inflight_max_;
  std::array<Slot, level_count> slots_{};
  std::vector<flow::Intake::ReadyListener*> listeners_;
  bool waiting_ = false;  // Somebody was turned away and must be told.
  bool draining_ = false;
  std::atomic<bool> resume_posted_{false};
  Counter acknowledged_;
  Counter commit_failed_;
  Histogram ack_time_;
};

}  // namespace tocsin::decode
