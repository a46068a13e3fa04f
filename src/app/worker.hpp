#pragma once
// One worker: takes the records of its shard from match to render and posts what comes out to
// deliver. Wires the stages; owns no policy.

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "app/rules.hpp"
#include "base/metrics.hpp"
#include "flow/batch.hpp"
#include "flow/loop.hpp"
#include "flow/notification.hpp"
#include "flow/pacing.hpp"
#include "stages/match/matcher.hpp"
#include "stages/render/renderer.hpp"
#include "stages/route/router.hpp"

namespace tocsin::app {

/// Where notifications go: the loop and stage that own a channel, by its name's hash.
struct DeliverTarget {
  flow::Loop* loop = nullptr;
  flow::Receiver* receiver = nullptr;
  std::uint32_t kind = 0;
};

class Worker final : public flow::Receiver, public flow::Ticker, public MetricSource {
 public:
  static constexpr std::uint32_t message_batch = 1;     ///< object: flow::Batch*, one holder.
  static constexpr std::uint32_t message_snapshot = 2;  ///< object: Snapshot*, owned.
  using Snapshot = std::shared_ptr<const RuleSnapshot>;

  struct Shard {
    std::uint32_t index = 0;
    std::uint32_t count = 1;
  };
  Worker(flow::Loop& loop, Shard shard, flow::NotificationPool& pool, flow::Pacing& pacing,
         std::vector<DeliverTarget> targets, Snapshot snapshot, std::size_t payload_max);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  void on_message(const flow::Message& message) noexcept override;
  MonoTime on_tick(MonoTime now) noexcept override;
  /// The loop's thread.
  [[nodiscard]] bool idle() const noexcept { return batches_.empty(); }
  void describe(MetricSink& sink) const override;

 private:
  /// What one turn may still do.
  struct Budget {
    std::uint32_t records = 0;
    flow::Pacing::Amount create;
  };
  /// Why work on a batch stopped before its end.
  enum class Pause : std::uint8_t {
    none,
    turn,      ///< Enough records for one turn.
    burst,     ///< Enough notifications on their way.
    exhausted  ///< No notification, or no memory for its body, is free.
  };
  [[nodiscard]] bool is_ours(const RecordView& record) const noexcept;
  Pause work(flow::Batch& batch);
  Pause route_matches(const RecordView& record, flow::SettlementRange& range);
  [[nodiscard]] bool emit(const RecordView& record, std::uint32_t rule, const route::Target& target,
                          flow::SettlementRange& range);
  void finish(flow::Batch& batch);
  void post_created();

  flow::Loop& loop_;
  Shard shard_;
  flow::NotificationPool& pool_;
  flow::Pacing& pacing_;
  std::vector<DeliverTarget> targets_;
  Snapshot snapshot_;
  Snapshot next_snapshot_;
  match::Matcher matcher_;
  route::Router router_;
  render::Renderer renderer_;

  std::deque<flow::Batch*> batches_;
  Budget budget_;
  // Where the front batch stands; a pause interrupts anywhere.
  std::uint32_t record_ = 0;
  bool matched_ = false;
  std::size_t rule_at_ = 0;
  bool routed_ = false;
  std::size_t target_at_ = 0;
  std::vector<match::RuleIndex> rules_;
  std::vector<route::Target> routes_;
  std::vector<flow::Notification*> created_;  // List heads, by deliver target.

  Counter events_;
  Counter notifications_;
  Counter stalls_;
  Histogram match_latency_;
};

}  // namespace tocsin::app
