#pragma once
// Reads events back that no worker has finished, and hands them to the workers.

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/batch.hpp"
#include "flow/loop.hpp"
#include "flow/settlement.hpp"
#include "stages/journal/segment_reader.hpp"

namespace tocsin::journal {

/// Where messages of one kind go.
struct Target {
  flow::Loop* loop = nullptr;
  flow::Receiver* receiver = nullptr;
  std::uint32_t kind = 0;

  void post(void* object) const noexcept {
    loop->post({.to = receiver, .kind = kind, .arg = 0, .object = object});
  }
};

/// Routes messages to MQTT subscribers. It gets batches that hold retained messages, and while
/// `wanted` is not zero all that hold anything for subscribers.
struct Subscriber {
  Target target;
  const std::atomic<std::uint32_t>* wanted = nullptr;
};

/// Whom the journal tells. A reactor gets each of its batches back once (Batch::stored says how it
/// went), each worker gets every batch that reached its level, and so do those who route messages;
/// each message brings one holder.
struct Wiring {
  std::vector<Target> reactors;  ///< Indexed by Batch::owner.
  std::vector<Target> workers;   ///< At least one.
  std::vector<Subscriber> subscribers{};
};

/// Registers the batch's range and gives it to every worker and to those who route its messages,
/// with a holder and a place in the range each.
void forward(flow::Batch& batch, flow::SettlementRegistry& registry, const Wiring& wiring);

/// Follows the committed part of the journal until it has caught up. While it runs, new events
/// reach the workers only through it: so every key keeps its order, and new ones hold no memory.
class Replay {
 public:
  Replay(flow::Loop& loop, flow::BatchPool& pool, flow::SettlementRegistry& registry,
         const Wiring& wiring, std::string directory, Log log);

  /// Begins behind `sequence`.
  void start(std::uint64_t sequence);
  void stop() noexcept;
  [[nodiscard]] bool active() const noexcept { return active_; }
  /// Hands over as many blocks as the pool and one turn allow. Returns when to call again.
  MonoTime step(const std::deque<SegmentInfo>& segments, MonoTime now);
  [[nodiscard]] std::uint64_t events() const noexcept { return events_.get(); }
  [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_.get(); }

 private:
  [[nodiscard]] bool advance_segment(const std::deque<SegmentInfo>& segments);
  [[nodiscard]] bool read_block(const std::deque<SegmentInfo>& segments);
  /// What this boot's monotonic clock said, or would have said, at that wall time.
  [[nodiscard]] MonoTime age_origin(std::int64_t base_wall_us) const noexcept;
  /// Gives the workers the block's events behind `after_`, as many as fit into the batch.
  void hand_over(flow::Batch& batch, const flow::BlockView& block);
  /// Puts `block` into the batch, or what fits of its records from `first` on. How many those are.
  [[nodiscard]] static std::uint32_t fill(flow::Batch& batch, const flow::BlockView& block,
                                          std::uint32_t first);

  flow::Loop& loop_;
  flow::BatchPool& pool_;
  flow::SettlementRegistry& registry_;
  const Wiring& wiring_;
  const std::string directory_;
  Log log_;
  SegmentReader reader_;
  bool active_ = false;
  std::uint64_t after_ = 0;  ///< Sequence up to which nothing is to be read.
  SegmentKey segment_;       ///< The one being read, or read last.
  bool block_open_ = false;  ///< The reader's block has events that are still to come.
  Counter events_;
  Counter unreadable_;
};

}  // namespace tocsin::journal
