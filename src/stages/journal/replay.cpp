#include "stages/journal/replay.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstring>

#include "base/errno_text.hpp"
#include "flow/route_info.hpp"

namespace tocsin::journal {
namespace {

// One turn must not keep new events waiting for long: about a millisecond of reading.
constexpr int blocks_per_turn_max = 4;
constexpr Duration pool_retry = std::chrono::milliseconds(5);

}  // namespace

void forward(flow::Batch& batch, flow::SettlementRegistry& registry, const Wiring& wiring) {
  const auto& header = batch.view().header();
  const bool routed = (batch.routes() & flow::mqtt_routed_bit) != 0;
  const bool retained = (batch.routes() & flow::mqtt_retain_bit) != 0;
  // Asked once: the answer may change meanwhile.
  std::uint64_t takers = 0;
  assert(wiring.subscribers.size() <= 64);
  for (std::size_t i = 0; routed && i < wiring.subscribers.size(); ++i) {
    const bool wanted = wiring.subscribers[i].wanted->load(std::memory_order_seq_cst) != 0;
    if (retained || wanted) takers |= std::uint64_t{1} << i;
  }
  const auto count = static_cast<std::uint32_t>(wiring.workers.size()) +
                     static_cast<std::uint32_t>(std::popcount(takers));
  batch.settlement = registry.register_range(header.base_sequence,
                                             header.base_sequence + header.record_count - 1, count);
  batch.retain(count);
  for (const Target& worker : wiring.workers) worker.post(&batch);
  for (; takers != 0; takers &= takers - 1) {
    wiring.subscribers[static_cast<std::size_t>(std::countr_zero(takers))].target.post(&batch);
  }
}

Replay::Replay(flow::Loop& loop, flow::BatchPool& pool, flow::SettlementRegistry& registry,
               const Wiring& wiring, std::string directory, Log log)
    : loop_(loop),
      pool_(pool),
      registry_(registry),
      wiring_(wiring),
      directory_(std::move(directory)),
      log_(std::move(log)),
      reader_(loop.io()) {}

void Replay::start(std::uint64_t sequence) {
  after_ = sequence;
  segment_ = {};
  active_ = true;
}

void Replay::stop() noexcept {
  active_ = block_open_ = false;
  reader_.close();
}

bool Replay::advance_segment(const std::deque<SegmentInfo>& segments) {
  reader_.close();
  for (const SegmentInfo& segment : segments) {
    if (segment.key.id <= segment_.id || segment.last_sequence <= after_) continue;
    segment_ = segment.key;
    const auto opened =
        reader_.open(directory_ + "/" + segment_name(segment_), segment_.tag, segment.bytes);
    if (opened) return true;
    unreadable_.add();
    log_->error("journal file {}: cannot be read again: {}", segment_name(segment_),
                errno_text(opened.error()));
  }
  return false;
}

MonoTime Replay::age_origin(std::int64_t base_wall_us) const noexcept {
  const io::Io& io = loop_.io();
  if (!io.wall_trusted()) return loop_.now();
  const std::int64_t age_us = std::max<std::int64_t>(0, to_us(io.wall_now()) - base_wall_us);
  return loop_.now() - std::chrono::microseconds(age_us);
}

std::uint32_t Replay::fill(flow::Batch& batch, const flow::BlockView& block, std::uint32_t first) {
  if (first == 0 && batch.load(block.bytes())) return block.size();
  // Written with larger blocks than this configuration has, or partly processed already: a block of
  // its own, as if those records alone had arrived together.
  const auto& header = block.header();
  batch.open(static_cast<Level>(header.level), from_us<WallTime>(header.base_wall_us),
             from_us<MonoTime>(header.base_mono_us), header.boot_id, (header.flags & 1U) == 0);
  for (std::uint32_t i = first; i < block.size(); ++i) {
    const RecordView record = block.record(i);
    const std::string_view payload = record.payload();
    if (!batch.fits(payload.size(), record.attrs().size())) break;
    std::memcpy(batch.payload_tail(), payload.data(), payload.size());
    batch.append(record.header(), record.attrs(), record.received(), {});
  }
  batch.seal();
  batch.assign(header.base_sequence + first, header.segment_id);
  batch.stored = true;
  return batch.size();
}

void Replay::hand_over(flow::Batch& batch, const flow::BlockView& block) {
  const auto& header = block.header();
  const std::uint64_t last = header.base_sequence + header.record_count - 1;
  block_open_ = false;
  if (last <= after_) return;
  const std::uint64_t first = std::max(header.base_sequence, after_ + 1);
  const std::uint32_t count =
      fill(batch, block, static_cast<std::uint32_t>(first - header.base_sequence));
  // One that fits into no batch is stepped over, so that it does not hold up the others for ever.
  after_ = first + std::max(count, 1U) - 1;
  block_open_ = after_ < last;
  if (count == 0) {
    unreadable_.add();
    log_->error("event {} is not processed: it is larger than a block of this program", first);
    return;
  }
  // Monotonic time of another boot means nothing here.
  if (header.boot_id != loop_.io().boot_id()) batch.rebase(age_origin(header.base_wall_us));
  batch.sealed_at = loop_.now();
  events_.add(count);
  forward(batch, registry_, wiring_);
}

bool Replay::read_block(const std::deque<SegmentInfo>& segments) {
  const auto found = std::find_if(segments.begin(), segments.end(),
                                  [&](const SegmentInfo& s) { return s.key == segment_; });
  if (found != segments.end()) reader_.set_limit(found->bytes);
  const auto step = reader_.next(segment_.id);
  if (step == SegmentReader::Step::block) return true;
  if (step != SegmentReader::Step::end) {
    unreadable_.add();
    log_->error("journal file {}: cannot be read again after offset {}: {}", segment_name(segment_),
                reader_.position(), errno_text(reader_.error()));
  }
  return false;
}

MonoTime Replay::step(const std::deque<SegmentInfo>& segments, MonoTime now) {
  if (!active_) return MonoTime::max();
  // A part of the pool stays with the reactors, so that new events are still acknowledged.
  const std::size_t reserve = pool_.count() > 1 ? std::max<std::size_t>(1, pool_.count() / 4) : 0;
  for (int blocks = 0; blocks < blocks_per_turn_max;) {
    flow::Batch* const batch = pool_.available() > reserve ? pool_.acquire() : nullptr;
    if (batch == nullptr) return now + pool_retry;
    const bool found = block_open_ || (reader_.is_open() && read_block(segments));
    if (found) {
      hand_over(*batch, reader_.block());
      ++blocks;
    }
    batch->release();
    if (!found && !advance_segment(segments)) {
      stop();
      return MonoTime::max();
    }
  }
  return now;
}

}  // namespace tocsin::journal
