#include "stages/ledger/ledger_stage.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>

#include "base/errno_text.hpp"

namespace tocsin::ledger {

LedgerStage::LedgerStage(flow::Loop& loop, const std::string& data_directory,
                         const Options& options, std::size_t ranges, Log log)
    : loop_(loop),
      options_(options),
      log_(std::move(log)),
      file_(loop.io(), data_directory, *this),
      outcomes_(options.outcomes_kept) {
  for (std::size_t i = 0; i < ranges; ++i) {
    ranges_.emplace_back().next = free_;
    free_ = &ranges_.back();
  }
}

LedgerStage::~LedgerStage() { loop_.disarm(*this); }

Result<void, std::string> LedgerStage::recover() {
  auto opened = file_.open(log_);
  if (!opened) return opened;
  registered_end_ = file_.value();
  cursor_shown_.store(file_.value(), std::memory_order_relaxed);
  return {};
}

void LedgerStage::start() { on_timer(loop_.now()); }

void LedgerStage::on_message(const flow::Message& message) noexcept {
  assert(message.kind == flow::SettlementRange::message_settled);
  settle(*static_cast<flow::SettlementRange*>(message.object));
}

flow::SettlementRange* LedgerStage::register_range(std::uint64_t first, std::uint64_t last,
                                                   std::uint32_t outstanding) {
  assert(first <= last && outstanding > 0);
  flow::SettlementRange* range = free_;
  if (range != nullptr) {
    free_ = range->next;
  } else {
    range = &ranges_.emplace_back();
  }
  range->first_sequence = first;
  range->last_sequence = last;
  range->outstanding.store(outstanding, std::memory_order_relaxed);
  range->ledger = this;
  range->ledger_loop = &loop_;
  flow::SettlementRange* before = tail_;
  while (before != nullptr && before->first_sequence > first) before = before->previous;
  range->previous = before;
  range->next = before != nullptr ? before->next : head_;
  (before != nullptr ? before->next : head_) = range;
  (range->next != nullptr ? range->next->previous : tail_) = range;
  registered_end_ = std::max(registered_end_, last);
  pending_.store(pending_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return range;
}

void LedgerStage::unlink(flow::SettlementRange& range) noexcept {
  (range.previous != nullptr ? range.previous->next : head_) = range.next;
  (range.next != nullptr ? range.next->previous : tail_) = range.previous;
}

void LedgerStage::settle(flow::SettlementRange& range) noexcept {
  assert(range.outstanding.load(std::memory_order_relaxed) == 0);
  // Only unsettled ranges hold the cursor back, so one that is settled early need not stay either.
  unlink(range);
  range.next = free_;
  free_ = &range;
  pending_.store(pending_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

void LedgerStage::set_durable_end(std::uint64_t sequence) noexcept {
  durable_end_ = std::max(durable_end_, sequence);
}

std::uint64_t LedgerStage::settled_end() const noexcept {
  const std::uint64_t settled = head_ != nullptr ? head_->first_sequence - 1 : registered_end_;
  // Never backwards: after a damaged place, or on a journal that was taken away, ranges may begin
  // below what was settled before.
  return std::max(std::min(settled, durable_end_), file_.value());
}

void LedgerStage::on_timer(MonoTime now) noexcept {
  loop_.arm(*this, now + std::chrono::milliseconds(options_.cursor_interval_ms));
  if (!file_.writing() && settled_end() != file_.value()) file_.write(settled_end());
}

void LedgerStage::on_cursor_written(io::Errno error) noexcept {
  write_failed_ = error != 0;
  if (error == 0) {
    cursor_writes_.add();
    cursor_shown_.store(file_.value(), std::memory_order_relaxed);
    return;
  }
  cursor_failures_.add();
  log_->error(
      "the cursor could not be written ({}): after a crash more events than needed are "
      "processed again",
      errno_text(error));
}

bool LedgerStage::drain() {
  loop_.disarm(*this);
  if (file_.writing()) return false;
  if (settled_end() == file_.value()) return true;
  if (draining_ && write_failed_) return true;
  draining_ = true;
  write_failed_ = false;
  file_.write(settled_end());
  return false;
}

void LedgerStage::on_outcome(const flow::Notification& notification, flow::Outcome outcome,
                             DeliveryError error) noexcept {
  outcomes_.add({.id = notification.id,
                 .rule = notification.rule,
                 .channel = notification.channel,
                 .recipient = notification.recipient,
                 .outcome = outcome,
                 .error = error == DeliveryError::none ? std::string_view() : to_string(error),
                 .attempts = notification.attempts});
}

void LedgerStage::describe(MetricSink& sink) const {
  for (std::size_t i = 0; i < flow::outcome_count; ++i) {
    const auto outcome = static_cast<flow::Outcome>(i);
    sink.counter("tocsin_ledger_outcomes_total", "Notifications that ended, by how.",
                 {{"outcome", flow::to_string(outcome)}}, outcomes_.count(outcome));
  }
  sink.gauge("tocsin_ledger_unsettled_blocks", "Blocks that wait for workers or notifications.", {},
             static_cast<double>(pending_ranges()));
  sink.gauge("tocsin_ledger_cursor", "Sequence behind which a restart begins.", {},
             static_cast<double>(cursor_shown_.load(std::memory_order_relaxed)));
  sink.counter("tocsin_ledger_cursor_writes_total", "Times the cursor was made durable.", {},
               cursor_writes_.get());
  sink.counter("tocsin_ledger_cursor_failures_total", "Times that failed.", {},
               cursor_failures_.get());
}

}  // namespace tocsin::ledger
