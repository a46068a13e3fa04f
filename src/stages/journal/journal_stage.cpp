#include "stages/journal/journal_stage.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include "base/errno_text.hpp"

namespace tocsin::journal {
namespace {

constexpr Duration failure_log_pause = std::chrono::seconds(5);
constexpr Duration commit_linger = std::chrono::milliseconds(4);

}  // namespace

JournalStage::JournalStage(flow::Loop& loop, flow::BatchPool& pool,
                           flow::SettlementRegistry& registry, const std::string& data_directory,
                           const Options& options, Wiring wiring, Log log)
    : loop_(loop),
      registry_(registry),
      directory_(data_directory + "/journal"),
      options_(options),
      wiring_(std::move(wiring)),
      log_(std::move(log)),
      preparer_(loop, directory_, options),
      replay_(loop, pool, registry, wiring_, directory_, log_),
      linger_batches_max_(std::min<std::size_t>(64, pool.count() / 4)) {
  assert(!wiring_.workers.empty());
  assert(options_.commit_inflight_max > 0);
  queue_.reserve(pool.count());
  const std::size_t staging_size =
      align_to_page(CommitLayout::staging_bytes / options_.commit_inflight_max);
  for (std::uint32_t i = 0; i < options_.commit_inflight_max; ++i) {
    commits_.push_back(std::make_unique<Commit>(*this, pool.count(), staging_size));
    idle_commits_.push_back(commits_.back().get());
  }
}

JournalStage::~JournalStage() {
  assert(order_.empty());
  if (started_) loop_.remove_ticker(*this);
  for (const auto& segment : segments_) {
    if (segment->opened) loop_.io().close_file(segment->file);
  }
}

std::string JournalStage::path_of(const SegmentKey& key) const {
  return directory_ + "/" + segment_name(key);
}

Result<RecoveryReport, std::string> JournalStage::recover() {
  io::Io& io = loop_.io();
  io::Errno error = 0;
  const std::string parent = directory_.substr(0, directory_.rfind('/'));
  if (const auto made = io.make_directories(directory_); !made) {
    error = made.error();
  } else if (const auto synced = io.sync_directory(parent); !synced) {
    error = synced.error();
  }
  if (error != 0) {
    return Unexpected{
        fmt::format("cannot create the journal directory {}: {}", directory_, errno_text(error))};
  }
  auto report = recover_segments(io, directory_, log_);
  if (!report) return report;
  metrics_.note(*report);
  catalogue_.assign(report->segments.begin(), report->segments.end());
  // Events at level `accepted` may have been processed and then lost: their sequences are gone too.
  next_sequence_ = std::max(report->next_sequence, registry_.cursor() + 1);
  report->next_sequence = next_sequence_;
  metrics_.last_sequence.store(next_sequence_ - 1, std::memory_order_relaxed);
  registry_.set_durable_end(next_sequence_ - 1);
  update_gauges();
  return report;
}

void JournalStage::start() {
  assert(!started_);
  started_ = true;
  loop_.add_ticker(*this);
  preparer_.start();
  replay_.start(registry_.cursor());
}

void JournalStage::on_message(const flow::Message& message) noexcept {
  assert(message.kind == message_append);
  append(*static_cast<flow::Batch*>(message.object));
}

void JournalStage::append(flow::Batch& batch) noexcept {
  assert(!batch.empty());
  queue_.push_back({.batch = &batch});
  if (batch.level() != Level::accepted) return;
  // Everything before it gets its place first, because sequences follow the order of arrival.
  place_queued();
  Entry& entry = queue_.back();
  // With a disk that is known to fail nothing is accepted either: it would be lost for certain.
  if (!can_write()) return;
  acknowledge(entry, true);
  if (!replay_.active()) {
    forward(batch, registry_, wiring_);
    entry.forwarded = true;
  }
}

void JournalStage::place_queued() noexcept {
  auto first = queue_.end();
  while (first != queue_.begin() && std::prev(first)->segment == nullptr) --first;
  for (; first != queue_.end(); ++first) place(*first);
}

void JournalStage::place(Entry& entry) noexcept {
  assert(entry.segment == nullptr);
  entry.bytes = entry.batch->padded_block(page_size);
  const std::uint64_t size = entry.bytes.size();
  if (current_ != nullptr && current_->placed > 0 && current_->placed + size > current_->capacity) {
    current_->retired = true;
    current_ = nullptr;
  }
  if (current_ == nullptr) plan_segment();
  entry.segment = current_;
  current_->placed += size;
  if (current_->placed > current_->capacity / 2) preparer_.hurry();
  ++current_->users;
  entry.batch->assign(next_sequence_, current_->key.tag);
  next_sequence_ += entry.batch->size();
  entry.last_sequence = next_sequence_ - 1;
}

// Headers carry the tag before there is a file. So it is the id only when the file is known to hold
// nothing else: the one that is being made, or will be.
void JournalStage::plan_segment() noexcept {
  const auto ahead =
      std::ranges::count_if(segments_, [](const auto& segment) { return !segment->opened; });
  current_ = segments_.emplace_back(std::make_unique<Segment>()).get();
  current_->key = {next_sequence_, next_sequence_};
  current_->capacity = preparer_.size_of_next(static_cast<std::size_t>(ahead));
  if (ahead > 0 || preparer_.adopted()) {
    loop_.io().random(std::as_writable_bytes(std::span{&current_->key.tag, 1}));
  }
}

MonoTime JournalStage::on_tick(MonoTime now) noexcept {
  note_preparer_failures();
  const MonoTime next_commit = pump(now);
  close_unused_segments();
  return std::min(next_commit, replay_.step(catalogue_, now));
}

// While no file can be opened, a failed commit costs nothing: events are refused without being
// given a sequence.
bool JournalStage::can_write() const noexcept {
  return !preparer_.failed() || (current_ != nullptr && current_->opened);
}

// Nobody waits for the disk: a moment's worth of small batches makes one commit, unless they begin
// to take up the pool.
bool JournalStage::may_linger(MonoTime now) const noexcept {
  return queue_.size() < linger_batches_max_ && now - last_commit_ < commit_linger &&
         std::ranges::all_of(queue_, [](const Entry& entry) { return entry.acknowledged; });
}

// Returns when it wants to be called again at the latest.
MonoTime JournalStage::pump(MonoTime now) noexcept {
  if (!can_write()) fail_queue(false);
  place_queued();
  name_segment();
  while (!queue_.empty() && !idle_commits_.empty()) {
    if (may_linger(now)) return last_commit_ + commit_linger;
    Segment& segment = *queue_.front().segment;
    if (!segment.opened && !open_segment(segment)) {
      note_preparer_failures();
      if (preparer_.failed()) fail_queue(false);
      break;
    }
    start_commit(segment, now);
    last_commit_ = now;
  }
  return MonoTime::max();
}

// As soon as a segment is planned, so that its first commit need not wait for the directory.
void JournalStage::name_segment() noexcept {
  if (!preparer_.ready()) return;
  const auto next = std::ranges::find_if(
      segments_, [](const auto& segment) { return !segment->opened && segment->users > 0; });
  if (next == segments_.end()) return;
  assert(!preparer_.adopted() || (*next)->key.recycled());
  preparer_.name((*next)->key);
}

bool JournalStage::open_segment(Segment& segment) noexcept {
  if (!preparer_.named()) {
    preparer_.start();
    preparer_.hurry();
    return false;
  }
  segment.file = preparer_.take();
  segment.opened = true;
  // A start that found no good block in the file of this id: it has been replaced.
  std::erase_if(catalogue_, [&](const SegmentInfo& info) {
    if (info.key.id != segment.key.id) return false;
    if (info.key != segment.key) static_cast<void>(loop_.io().remove(path_of(info.key)));
    return true;
  });
  catalogue_.push_back(
      {.key = segment.key, .last_sequence = 0, .bytes = 0, .file_bytes = segment.capacity});
  apply_retention();
  preparer_.start();
  update_gauges();
  return true;
}

void JournalStage::start_commit(Segment& segment, MonoTime now) noexcept {
  Commit& commit = *idle_commits_.back();
  idle_commits_.pop_back();
  order_.push_back(&commit);
  commit.segment = &segment;
  commit.entries.clear();
  commit.layout.clear();
  commit.done = false;
  commit.started = now;
  std::size_t taken = 0;
  std::uint64_t reserved = 0;
  for (; taken < queue_.size(); ++taken) {
    const Entry& entry = queue_[taken];
    const bool full = taken > 0 && reserved + entry.bytes.size() > options_.commit_bytes_max;
    if (entry.segment != &segment || full) break;
    reserved += entry.bytes.size();
    commit.layout.add(entry.bytes, entry.batch->block().size());
    commit.entries.push_back(entry);
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(taken));
  commit.layout.finish();
  // Blocks that share pages give back what each would have taken alone.
  assert(commit.layout.bytes() <= reserved);
  segment.placed -= reserved - commit.layout.bytes();
  const std::uint64_t offset =
      std::exchange(segment.started, segment.started + commit.layout.bytes());
  // In one piece: at full load, with 1 to 2 MB a commit, that takes less time at p50 and at p99
  // than a write for each block.
  loop_.io().gather_and_sync(segment.file, commit.layout.pieces(), offset, commit);
}

void JournalStage::Commit::on_file_done(io::Errno error) noexcept {
  stage.end_commit(*this, error);
}

void JournalStage::end_commit(Commit& commit, io::Errno error) noexcept {
  commit.done = true;
  if (error != 0) {
    note_failure(error, "a commit failed");
    abandon(*commit.segment);
  }
  finish_in_order();
}

void JournalStage::finish_in_order() noexcept {
  while (!order_.empty() && order_.front()->done) {
    Commit& commit = *order_.front();
    order_.erase(order_.begin());
    finish(commit);
    idle_commits_.push_back(&commit);
  }
}

void JournalStage::finish(Commit& commit) noexcept {
  Segment& segment = *commit.segment;
  const std::uint64_t last = commit.entries.back().last_sequence;
  // A write-back error is reported once a file, to whichever sync asks first. So a commit that
  // shared its time with a failed one has failed as well, whatever its own sync said.
  const bool ok = !segment.failed;
  if (ok) {
    segment.committed += commit.layout.bytes();
    segment.last_sequence = last;
    if (SegmentInfo* info = info_of(segment.key)) {
      info->bytes = segment.committed;
      info->last_sequence = last;
      info->file_bytes = std::max(info->file_bytes, segment.committed);
    }
    metrics_.commits.add();
    metrics_.writable.store(true, std::memory_order_relaxed);
    metrics_.appended_bytes.add(commit.layout.bytes());
    metrics_.last_sequence.store(last, std::memory_order_relaxed);
    const auto took = loop_.io().now() - commit.started;
    metrics_.commit_latency.record(
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count())));
  }
  for (Entry& entry : commit.entries) {
    if (ok) {
      succeed(entry);
    } else {
      fail(entry);
    }
  }
  registry_.set_durable_end(last);
}

void JournalStage::succeed(Entry& entry) noexcept {
  metrics_.appended_events.add(entry.batch->size());
  if (!entry.acknowledged) acknowledge(entry, true);
  if (!entry.forwarded && !replay_.active()) {
    forward(*entry.batch, registry_, wiring_);
  }
  --entry.segment->users;
  entry.batch->release();
}

void JournalStage::fail(Entry& entry) noexcept {
  if (entry.acknowledged) {
    metrics_.accepted_lost.add(entry.batch->size());
  } else {
    metrics_.failed_events.add(entry.batch->size());
    acknowledge(entry, false);
  }
  if (entry.segment != nullptr) --entry.segment->users;
  entry.batch->release();
}

void JournalStage::acknowledge(Entry& entry, bool stored) noexcept {
  flow::Batch& batch = *entry.batch;
  assert(batch.owner < wiring_.reactors.size());
  entry.acknowledged = true;
  batch.stored = stored;
  batch.retain();
  wiring_.reactors[batch.owner].post(&batch);
}

void JournalStage::fail_queue(bool only_failed_segments) noexcept {
  std::size_t kept = 0;
  for (Entry& entry : queue_) {
    const bool failed = entry.segment != nullptr && entry.segment->failed;
    const bool writable = entry.segment != nullptr && entry.segment->opened && !failed;
    if (failed || (!only_failed_segments && !writable)) {
      fail(entry);
    } else {
      queue_[kept++] = entry;
    }
  }
  queue_.resize(kept);
  if (only_failed_segments) return;
  // A segment that was planned but has no file: the next one gets a name of its own.
  if (current_ != nullptr && !current_->opened) {
    current_->retired = true;
    current_ = nullptr;
  }
}

void JournalStage::abandon(Segment& segment) noexcept {
  if (segment.failed) return;
  segment.failed = segment.retired = true;
  if (current_ == &segment) current_ = nullptr;
  fail_queue(true);
}

void JournalStage::close_unused_segments() noexcept {
  io::Io& io = loop_.io();
  std::erase_if(segments_, [&](const std::unique_ptr<Segment>& owned) {
    Segment& segment = *owned;
    if (!segment.retired || segment.users > 0) return false;
    if (!segment.opened) return true;
    // What a failed commit left must not look like events after a restart.
    if (segment.failed) static_cast<void>(io.truncate(segment.file, segment.committed));
    io.close_file(segment.file);
    if (segment.failed && segment.committed == 0) {
      static_cast<void>(io.remove(path_of(segment.key)));
      std::erase_if(catalogue_, [&](const SegmentInfo& info) { return info.key == segment.key; });
    } else if (SegmentInfo* info = info_of(segment.key); info != nullptr && segment.failed) {
      info->file_bytes = segment.committed;
    }
    update_gauges();
    return true;
  });
}

SegmentInfo* JournalStage::info_of(const SegmentKey& key) noexcept {
  for (auto info = catalogue_.rbegin(); info != catalogue_.rend(); ++info) {
    if (info->key == key) return &*info;
  }
  return nullptr;
}

void JournalStage::apply_retention() noexcept {
  std::uint64_t total = 0;
  for (const SegmentInfo& info : catalogue_) total += info.file_bytes;
  while (catalogue_.size() > 1 && total > options_.retention_bytes) {
    const SegmentInfo oldest = catalogue_.front();
    const bool in_use = std::any_of(segments_.begin(), segments_.end(),
                                    [&](const auto& s) { return s->key == oldest.key; });
    if (in_use || oldest.last_sequence > registry_.cursor()) return;
    if (!drop(oldest)) return;
    total -= oldest.file_bytes;
    catalogue_.pop_front();
    metrics_.segments_deleted.add();
  }
}

// The first that fits becomes the next file; the others are deleted.
bool JournalStage::drop(const SegmentInfo& info) noexcept {
  if (preparer_.adopt(path_of(info.key), info.file_bytes)) {
    metrics_.segments_recycled.add();
    return true;
  }
  const auto removed = loop_.io().remove(path_of(info.key));
  if (!removed) note_failure(removed.error(), "an old file could not be deleted");
  return removed.has_value();
}

void JournalStage::note_preparer_failures() noexcept {
  if (preparer_.failures() == preparer_failures_seen_) return;
  preparer_failures_seen_ = preparer_.failures();
  note_failure(preparer_.last_error(), "a new file could not be made");
}

void JournalStage::note_failure(io::Errno error, const char* what) noexcept {
  metrics_.writable.store(false, std::memory_order_relaxed);
  const FailureKind kind = failure_kind(error);
  metrics_.failures[static_cast<std::size_t>(kind)].add();
  ++failures_unlogged_;
  const MonoTime now = loop_.now();
  if (now < next_failure_log_) return;
  next_failure_log_ = now + failure_log_pause;
  log_->error(
      "journal: {}: {} ({} failures since the last such line); events that it held are "
      "answered with an error, and a new file is tried",
      what, errno_text(error), failures_unlogged_);
  failures_unlogged_ = 0;
}

bool JournalStage::drained() const noexcept { return queue_.empty() && order_.empty(); }

bool JournalStage::close() {
  assert(drained());
  preparer_.stop();
  replay_.stop();
  if (!preparer_.quiet()) return false;
  close_unused_segments();
  if (current_ != nullptr && current_->opened) {
    static_cast<void>(loop_.io().truncate(current_->file, current_->committed));
    loop_.io().close_file(current_->file);
  }
  current_ = nullptr;
  segments_.clear();
  return true;
}

void JournalStage::update_gauges() noexcept {
  std::uint64_t total = 0;
  for (const SegmentInfo& info : catalogue_) total += info.file_bytes;
  metrics_.segment_count.store(catalogue_.size(), std::memory_order_relaxed);
  metrics_.disk_bytes.store(total, std::memory_order_relaxed);
}

void JournalStage::describe(MetricSink& sink) const {
  metrics_.describe(sink);
  sink.counter("tocsin_journal_replayed_events_total",
               "Events given to the workers again after a start.", {}, replay_.events());
  sink.counter("tocsin_journal_replay_failures_total",
               "Blocks or files that could not be read again.", {}, replay_.unreadable());
}

}  // namespace tocsin::journal
