#include "stages/decode/open_batches.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

namespace tocsin::decode {

OpenBatches::OpenBatches(flow::Loop& loop, flow::BatchPool& pool, flow::BatchSink& sink,
                         RunChecker& checker, std::uint32_t owner, std::uint32_t inflight_max)
    : loop_(loop),
      pool_(pool),
      sink_(sink),
      checker_(checker),
      owner_(owner),
      inflight_max_(inflight_max) {
  assert(inflight_max > 0);
  loop_.add_last_ticker(*this);
}

OpenBatches::~OpenBatches() {
  loop_.remove_ticker(*this);
  for (Slot& slot : slots_) {
    if (slot.open != nullptr) slot.open->release();
  }
}

bool OpenBatches::ensure(Slot& slot) noexcept {
  if (slot.open != nullptr) return true;
  slot.open = pool_.acquire();
  if (slot.open == nullptr) {
    waiting_ = true;
    return false;
  }
  slot.open->open(Level::stored, {}, {}, {}, false);  // Clocks follow with the first record.
  return true;
}

bool OpenBatches::ready() noexcept {
  return std::all_of(slots_.begin(), slots_.end(), [this](Slot& slot) { return ensure(slot); });
}

flow::Batch* OpenBatches::room_for(Level level, std::size_t payload_size,
                                   std::size_t attrs_size) noexcept {
  Slot& own = slot(level);
  check(own);
  return make_room(own, level, payload_size, attrs_size);
}

flow::Batch* OpenBatches::room_for_unseen(Level level, std::size_t payload_size,
                                          std::size_t attrs_size,
                                          flow::RefusalSink& refusals) noexcept {
  Slot& own = slot(level);
  if (own.refusals != &refusals) check(own);
  own.refusals = &refusals;
  return make_room(own, level, payload_size, attrs_size);
}

flow::Batch* OpenBatches::make_room(Slot& own, Level level, std::size_t payload_size,
                                    std::size_t attrs_size) noexcept {
  if (own.open != nullptr && !own.open->fits(payload_size, attrs_size)) seal(own);
  if (!ensure(own)) return nullptr;
  if (own.open->empty()) {
    own.seen = 0;
    own.opened = loop_.now();
    const io::Io& io = loop_.io();
    own.open->open(level, io.wall_now(), loop_.now(), io.boot_id(), io.wall_trusted());
  }
  assert(own.open->fits(payload_size, attrs_size));
  return own.open;
}

void OpenBatches::appended(flow::Batch& batch) noexcept {
  Slot& own = slot(batch.level());
  assert(own.open == &batch && own.seen + 1 == batch.size());
  own.seen = batch.size();
  if (batch.size() == batch_records_max) seal(own);
}

void OpenBatches::appended_unseen(flow::Batch& batch) noexcept {
  Slot& own = slot(batch.level());
  assert(own.open == &batch && own.seen < batch.size());
  const bool full = batch.size() == batch_records_max;
  if (full || batch.size() - own.seen == run_records_max ||
      batch.payloads_from(own.seen).size() >= run_bytes_max) {
    check(own);
  }
  if (full && batch.size() == batch_records_max) seal(own);
}

void OpenBatches::check(Slot& own) noexcept {
  if (own.open == nullptr || own.seen >= own.open->size()) return;
  const std::uint32_t first = std::exchange(own.seen, own.open->size());
  checker_.check_run(*own.open, first, *own.refusals);
  own.seen = own.open->size();
}

void OpenBatches::seal(Slot& own) noexcept {
  check(own);
  if (own.open->empty()) return;
  flow::Batch* const batch = std::exchange(own.open, nullptr);
  batch->seal();
  batch->owner = owner_;
  batch->sealed_at = loop_.now();
  ++own.inflight;
  sink_.on_batch(batch);
}

MonoTime OpenBatches::on_tick(MonoTime now) noexcept {
  MonoTime next = MonoTime::max();
  for (Slot& own : slots_) {
    check(own);
    if (own.open == nullptr || own.open->empty()) continue;
    // An idle journal gets what there is; a busy one gives the next batch time to fill.
    if (!draining_ && own.inflight >= inflight_max_) continue;
    const MonoTime due = own.opened + patience(own);
    if (draining_ || now >= due) {
      seal(own);
    } else {
      next = std::min(next, due);
    }
  }
  return next;
}

// Events at `accepted` are acknowledged before they are written, so nothing there says that the
// disk rests for a moment but the pool: a batch a turn, each with an event or two, would use it up
// within milliseconds, and then nothing is received.
Duration OpenBatches::patience(const Slot& own) const noexcept {
  if (own.open->level() != Level::accepted) return Duration::zero();
  const std::size_t free = pool_.available();
  if (2 * free >= pool_.count()) return Duration::zero();
  return std::chrono::milliseconds(4 * free >= pool_.count() ? 1 : 4);
}

bool OpenBatches::idle() const noexcept {
  return std::all_of(slots_.begin(), slots_.end(), [](const Slot& own) {
    return own.inflight == 0 && (own.open == nullptr || own.open->empty());
  });
}

void OpenBatches::record_ack_times(const flow::Batch& batch) noexcept {
  const auto block = batch.view();
  MonoTime last{};
  std::uint64_t run = 0;
  const auto flush = [&] {
    const auto waited = std::max(loop_.now() - last, Duration::zero());
    if (run > 0) ack_time_.record(static_cast<std::uint64_t>(waited.count()), run);
    run = 0;
  };
  // Records of one turn came in at the same instant: one update for all of them.
  for (std::uint32_t i = 0; i < block.size(); ++i) {
    const MonoTime received = block.record(i).received();
    if (received != last) flush();
    last = received;
    ++run;
  }
  flush();
}

void OpenBatches::committed(flow::Batch& batch) noexcept {
  Slot& own = slot(batch.level());
  assert(own.inflight > 0);
  --own.inflight;
  (batch.stored ? acknowledged_ : commit_failed_).add(batch.size());
  if (batch.stored) record_ack_times(batch);
  for (const flow::AckToken& token : batch.acks()) {
    if (token.sink != nullptr) token.sink->on_ack(token, batch.stored);
  }
  batch.release();
}

void OpenBatches::on_message(const flow::Message& message) noexcept {
  if (message.kind == flow::message_batch_committed) {
    committed(*static_cast<flow::Batch*>(message.object));
    return;
  }
  assert(message.kind == message_resume);
  // Cleared first: a batch that comes back from here on posts again.
  resume_posted_.store(false, std::memory_order_seq_cst);
  if (!waiting_ || !ready()) return;
  waiting_ = false;
  for (flow::Intake::ReadyListener* listener : listeners_) listener->on_ready();
}

void OpenBatches::on_batch_available() noexcept {
  if (resume_posted_.exchange(true, std::memory_order_seq_cst)) return;
  loop_.post({.to = this, .kind = message_resume, .arg = 0, .object = nullptr});
}

}  // namespace tocsin::decode
