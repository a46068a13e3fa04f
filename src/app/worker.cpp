#include "app/worker.hpp"

#include <algorithm>

#include "base/hash.hpp"

namespace tocsin::app {
namespace {

// Records looked at in one turn: with one thread the sockets wait for them (about 0.3 ms).
constexpr std::uint32_t records_per_turn = 1024;
// Deliver sees what is on its way within a turn.
constexpr Duration burst_pause = std::chrono::microseconds(50);
// Deliver gives notifications back within a turn or two; nobody signals that.
constexpr Duration stall_pause = std::chrono::milliseconds(1);

}  // namespace

Worker::Worker(flow::Loop& loop, Shard shard, flow::NotificationPool& pool, flow::Pacing& pacing,
               std::vector<DeliverTarget> targets, Snapshot snapshot, std::size_t payload_max)
    : loop_(loop),
      shard_(shard),
      pool_(pool),
      pacing_(pacing),
      targets_(std::move(targets)),
      snapshot_(std::move(snapshot)),
      matcher_(snapshot_->rules, payload_max),
      router_(snapshot_->routes),
      renderer_(snapshot_->templates),
      created_(targets_.size()) {
  loop_.add_ticker(*this);
}

Worker::~Worker() {
  loop_.remove_ticker(*this);
  for (flow::Batch* batch : batches_) batch->release();
}

void Worker::on_message(const flow::Message& message) noexcept {
  if (message.kind == message_batch) {
    batches_.push_back(static_cast<flow::Batch*>(message.object));
    return;
  }
  const std::unique_ptr<Snapshot> snapshot(static_cast<Snapshot*>(message.object));
  next_snapshot_ = std::move(*snapshot);
}

MonoTime Worker::on_tick(MonoTime now) noexcept {
  if (batches_.empty()) return MonoTime::max();
  if (pacing_.asked_to_wait()) {
    stalls_.add();
    return now + stall_pause;
  }
  budget_ = {.records = records_per_turn, .create = pacing_.room()};
  while (!batches_.empty()) {
    flow::Batch& batch = *batches_.front();
    const Pause pause = work(batch);
    post_created();
    if (pause == Pause::turn) return now;
    if (pause == Pause::burst) return now + burst_pause;
    if (pause == Pause::exhausted) {
      stalls_.add();
      return now + stall_pause;
    }
    batches_.pop_front();
    finish(batch);
  }
  return MonoTime::max();
}

Worker::Pause Worker::work(flow::Batch& batch) {
  const flow::BlockView block = batch.view();
  auto& range = *static_cast<flow::SettlementRange*>(batch.settlement);
  // With many shards, scanning all documents would cost more than the own ones one by one.
  constexpr std::uint32_t shards_scanned_together_max = 2;
  const bool together = shard_.count <= shards_scanned_together_max;
  if (record_ == 0 && !matched_) matcher_.begin(block, batch.shapes(), together);
  for (; record_ < block.size(); ++record_) {
    if (budget_.records == 0) return Pause::turn;
    const RecordView record = block.record(record_);
    if (!is_ours(record)) continue;
    if ((record.header().flags & record_flag::message) != 0) continue;
    if (!matched_) {
      // Between two records: what was matched by the old rules is routed by them.
      if (next_snapshot_) {
        snapshot_ = std::move(next_snapshot_);
        next_snapshot_ = nullptr;
        matcher_.adopt(snapshot_->rules);
        router_.adopt(snapshot_->routes);
        renderer_.adopt(snapshot_->templates);
      }
      --budget_.records;
      events_.add();
      matcher_.match(record, rules_);
      matched_ = true;
      rule_at_ = 0;
    }
    if (const Pause pause = route_matches(record, range); pause != Pause::none) return pause;
    matched_ = false;
  }
  record_ = 0;
  return Pause::none;
}

bool Worker::is_ours(const RecordView& record) const noexcept {
  return shard_.count == 1 || record.header().partition_hash % shard_.count == shard_.index;
}

Worker::Pause Worker::route_matches(const RecordView& record, flow::SettlementRange& range) {
  for (; rule_at_ < rules_.size(); ++rule_at_) {
    if (!routed_) {
      router_.route(record, matcher_.document(), rules_[rule_at_], routes_);
      routed_ = true;
      target_at_ = 0;
    }
    for (; target_at_ < routes_.size(); ++target_at_) {
      if (budget_.create.notifications == 0 || budget_.create.body_bytes == 0) return Pause::burst;
      if (!emit(record, rules_[rule_at_], routes_[target_at_], range)) return Pause::exhausted;
    }
    routed_ = false;
  }
  return Pause::none;
}

bool Worker::emit(const RecordView& record, std::uint32_t rule, const route::Target& target,
                  flow::SettlementRange& range) {
  flow::Notification* const notification = pool_.acquire();
  if (notification == nullptr) return false;
  router_.fill(record, rule, target, *notification);
  renderer_.render(rule, record, matcher_.document(), notification->priority,
                   notification->severity, notification->subject, notification->body);
  if (!pool_.charge(notification->body.size())) {
    pool_.release(notification);
    return false;
  }
  --budget_.create.notifications;
  budget_.create.body_bytes -= std::min(budget_.create.body_bytes, notification->body.size());
  notification->created = loop_.now();
  notification->range = &range;
  range.retain();
  const auto home = static_cast<std::size_t>(hash64(notification->channel) % targets_.size());
  notification->next = created_[home];
  created_[home] = notification;
  notifications_.add();
  return true;
}

void Worker::post_created() {
  for (std::size_t i = 0; i < created_.size(); ++i) {
    // Pushed in front as they came: turn the list round, so that deliver sees them in order.
    flow::Notification* ordered = nullptr;
    flow::Pacing::Amount posted;
    for (flow::Notification* n = created_[i]; n != nullptr;) {
      flow::Notification* const next = n->next;
      ++posted.notifications;
      posted.body_bytes += n->body.size();
      n->next = ordered;
      ordered = n;
      n = next;
    }
    created_[i] = nullptr;
    if (ordered != nullptr) {
      pacing_.on_posted(posted);
      targets_[i].loop->post(
          {.to = targets_[i].receiver, .kind = targets_[i].kind, .arg = 0, .object = ordered});
    }
  }
}

void Worker::finish(flow::Batch& batch) {
  const Duration age = loop_.io().now() - batch.sealed_at;
  match_latency_.record(static_cast<std::uint64_t>(std::max<Duration::rep>(age.count(), 0)));
  static_cast<flow::SettlementRange*>(batch.settlement)->settle();
  batch.release();
}

void Worker::describe(MetricSink& sink) const {
  sink.counter("tocsin_worker_events_total", "Events that a worker has taken through the rules.",
               {}, events_.get());
  sink.counter("tocsin_worker_notifications_total", "Notifications rendered and handed to deliver.",
               {}, notifications_.get());
  sink.counter(
      "tocsin_worker_stalls_total",
      "Times a worker waited because all notifications were under way, or a lane asked it to.", {},
      stalls_.get());
  sink.histogram("tocsin_stage_seconds", "Time from a batch's sealing to the end of a stage.",
                 {{"stage", "match"}}, match_latency_);
  matcher_.describe(sink);
  router_.describe(sink);
  renderer_.describe(sink);
}

}  // namespace tocsin::app
