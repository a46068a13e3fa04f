#include "stages/sessions/sqlite_session_store.hpp"

#include <pthread.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace tocsin::sessions {
namespace {

// A batch this large is worth a commit of its own before the interval has passed.
constexpr std::size_t hurry_part = 4;
// How many clients are looked at before the lock is given away.
constexpr std::size_t forget_step = 256;

}  // namespace

/// Tells the queue what the disk has, drops what has expired or is damaged, and passes on the rest.
class SqliteSessionStore::Loader final : public RowSink {
 public:
  Loader(SqliteSessionStore& store, const std::function<void(flow::StoredSession&&)>& session,
         const std::function<void(flow::StoredRetained&&)>& retained)
      : store_(store),
        session_(session),
        retained_(retained),
        now_us_(to_us(store.settings_.wall_now())) {}

  void on_session(flow::StoredSession&& session) override {
    const std::uint64_t end = session.messages.empty() ? 0 : session.messages.back().ordinal + 1;
    store_.pending_.know(session.client_id, end);
    if (expired(session)) {
      store_.sessions_expired_.add();
      static_cast<void>(store_.pending_.remove_session(session.client_id, none_));
      return;
    }
    session_(std::move(session));
  }
  void on_retained(flow::StoredRetained&& retained) override { retained_(std::move(retained)); }
  void on_bad_session(std::string_view client_id) override {
    store_.rows_bad_.add();
    store_.pending_.know(client_id, 0);
    static_cast<void>(store_.pending_.remove_session(client_id, none_));
  }
  // Their session comes after them: what it does not know is removed now.
  void on_bad_subscription(std::string_view client_id, std::string_view filter) override {
    store_.rows_bad_.add();
    store_.pending_.know(client_id, 0);
    static_cast<void>(store_.pending_.remove_subscription(client_id, filter));
  }
  void on_bad_message(std::string_view client_id, std::uint64_t ordinal) override {
    store_.rows_bad_.add();
    store_.pending_.know(client_id, ordinal + 1);
    static_cast<void>(store_.pending_.remove_message(client_id, ordinal, none_));
  }
  void on_bad_retained(std::string_view topic) override {
    store_.rows_bad_.add();
    static_cast<void>(store_.pending_.put_retained(topic, Bytes{}, nullptr, none_));
  }

 private:
  [[nodiscard]] bool expired(const flow::StoredSession& session) const noexcept {
    if (!store_.settings_.wall_trusted || session.expiry_s == UINT32_MAX) return false;
    if (session.disconnected_wall_us == 0) return false;
    const std::int64_t expiry_us = std::int64_t{session.expiry_s} * 1'000'000;
    return session.disconnected_wall_us + expiry_us < now_us_;
  }

  SqliteSessionStore& store_;
  const std::function<void(flow::StoredSession&&)>& session_;
  const std::function<void(flow::StoredRetained&&)>& retained_;
  const std::int64_t now_us_;
  Released none_;
};

SqliteSessionStore::SqliteSessionStore(StoreSettings settings, Log log)
    : settings_(std::move(settings)),
      log_(std::move(log)),
      file_(settings_.path, settings_.file, settings_.wall_now, log_),
      pending_(settings_.queue_bytes_max, settings_.hash_seed) {}

SqliteSessionStore::~SqliteSessionStore() { static_cast<void>(stop({})); }

Result<void, std::string> SqliteSessionStore::load(
    const std::function<void(flow::StoredSession&&)>& session,
    const std::function<void(flow::StoredRetained&&)>& retained) {
  assert(!thread_.joinable());
  Loader loader(*this, session, retained);
  auto loaded = file_.load(loader);
  if (const auto bad = rows_bad_.get(); bad > 0) {
    log_->error("{}: {} rows are damaged and were left out", settings_.path, bad);
  }
  return loaded;
}

void SqliteSessionStore::start() {
  assert(!thread_.joinable() && !stopped_);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "store");
    run();
  });
}

template <typename Change>
bool SqliteSessionStore::change(const Change& apply) noexcept {
  Released released;
  bool taken = false;
  bool wake = false;
  {
    const std::scoped_lock guard(mutex_);
    taken = apply(released);
    // The writer sleeps twice a commit at most, and is woken only from there.
    if (idle_ && pending_.count() > 0) {
      idle_ = false;
      wake = true;
    } else if (lingering_ && hurry()) {
      lingering_ = false;
      wake = true;
    }
  }
  if (wake) changed_.notify_one();
  released.settle();
  return taken;
}

bool SqliteSessionStore::put_session(const flow::StoredSession& session) noexcept {
  return change([&](Released&) { return !stopped_ && pending_.put_session(session); });
}

bool SqliteSessionStore::remove_session(std::string_view client_id) noexcept {
  return change([&](Released& released) {
    return !stopped_ && pending_.remove_session(client_id, released);
  });
}

bool SqliteSessionStore::put_subscription(std::string_view client_id,
                                          const flow::StoredSubscription& subscription) noexcept {
  return change(
      [&](Released&) { return !stopped_ && pending_.put_subscription(client_id, subscription); });
}

bool SqliteSessionStore::remove_subscription(std::string_view client_id,
                                             std::string_view filter) noexcept {
  return change(
      [&](Released&) { return !stopped_ && pending_.remove_subscription(client_id, filter); });
}

bool SqliteSessionStore::put_message(std::string_view client_id, std::uint64_t ordinal,
                                     std::string_view bytes,
                                     flow::SettlementRange* range) noexcept {
  Bytes copy(bytes);
  // After the end the range stays open: the next process has the journal bring the message again.
  return change([&](Released& released) {
    return !stopped_ && pending_.put_message(client_id, ordinal, std::move(copy), range, released);
  });
}

bool SqliteSessionStore::remove_message(std::string_view client_id,
                                        std::uint64_t ordinal) noexcept {
  return change([&](Released& released) {
    return !stopped_ && pending_.remove_message(client_id, ordinal, released);
  });
}

bool SqliteSessionStore::put_retained(std::string_view topic, std::string_view bytes,
                                      flow::SettlementRange* range) noexcept {
  Bytes copy(bytes);
  return change([&](Released& released) {
    return !stopped_ && pending_.put_retained(topic, std::move(copy), range, released);
  });
}

bool SqliteSessionStore::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = ++flush_asked_;
  changed_.notify_one();
  return flushed_changed_.wait_for(lock, timeout, [&] { return flush_done_ >= ticket; }) && !lost_;
}

bool SqliteSessionStore::stop(std::chrono::milliseconds timeout) {
  {
    const std::scoped_lock guard(mutex_);
    if (!stop_) stop_at_latest_ = Clock::now() + timeout;
    stop_ = true;
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  return !lost_;
}

bool SqliteSessionStore::hurry() const noexcept {
  return stop_ || flush_asked_ > flush_done_ ||
         pending_.bytes() >= settings_.queue_bytes_max / hurry_part;
}

void SqliteSessionStore::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    idle_ = true;
    changed_.wait(lock,
                  [this] { return stop_ || flush_asked_ > flush_done_ || pending_.count() > 0; });
    idle_ = false;
    if (pending_.count() > 0) {
      lingering_ = true;
      changed_.wait_for(lock, settings_.commit_interval, [this] { return hurry(); });
      lingering_ = false;
    }
    const std::uint64_t asked = flush_asked_;
    if (pending_.count() > 0) {
      auto batch = pending_.take();
      lock.unlock();
      const bool durable = commit(std::move(batch));
      lock.lock();
      if (!durable) lost_ = true;
    }
    flush_done_ = asked;
    flushed_changed_.notify_all();
    if (stop_ && (lost_ || pending_.count() == 0)) break;
  }
  lock.unlock();
  file_.close();
}

// Without the lock.
bool SqliteSessionStore::commit(std::unique_ptr<ChangeBatch> batch) {
  if (!write(*batch)) {
    log_->error("{}: {} changes of MQTT sessions could not be stored before the end",
                settings_.path, batch->count);
    return false;
  }
  batch->settle();
  for (std::size_t i = 0; i < batch->clients.size(); i += forget_step) {
    const std::scoped_lock guard(mutex_);
    pending_.forget_removed(*batch, i, std::min(i + forget_step, batch->clients.size()));
  }
  const std::size_t bytes = batch->bytes;
  batch.reset();
  {
    const std::scoped_lock guard(mutex_);
    pending_.give_back(bytes);
  }
  if (const auto tidied = file_.tidy(); !tidied) on_failure(tidied.error());
  return true;
}

bool SqliteSessionStore::write(const ChangeBatch& batch) {
  Duration delay = settings_.retry_delay;
  for (;;) {
    const auto begun = Clock::now();
    RowCounts rows;
    const auto written = file_.write(batch, rows);
    if (written) {
      on_success(rows, Clock::now() - begun);
      return true;
    }
    on_failure(written.error());
    if (!pause_before_retry(delay)) return false;
    delay = std::min(delay * 2, settings_.retry_delay_max);
  }
}

bool SqliteSessionStore::pause_before_retry(Duration delay) {
  std::unique_lock lock(mutex_);
  const bool was_stopping = stop_;
  const auto until = Clock::now() + delay;
  changed_.wait_until(lock, was_stopping ? std::min(until, stop_at_latest_) : until,
                      [&] { return stop_ && !was_stopping; });
  return !stop_ || Clock::now() < stop_at_latest_;
}

void SqliteSessionStore::on_failure(const store::DbError& error) {
  errors_[static_cast<std::size_t>(error.fault)].add();
  // Once, however often it is tried.
  if (writable_.exchange(false, std::memory_order_relaxed)) {
    log_->error("{}: cannot store MQTT sessions: {}", settings_.path, error.text);
  }
}

void SqliteSessionStore::on_success(const RowCounts& rows, Clock::duration took) {
  commits_.add();
  rows_put_.add(rows.put);
  rows_removed_.add(rows.removed);
  commit_seconds_.record(static_cast<std::uint64_t>(
      std::max<std::int64_t>(std::chrono::nanoseconds(took).count(), 0)));
  if (!writable_.exchange(true, std::memory_order_relaxed)) {
    log_->info("{}: MQTT sessions are stored again", settings_.path);
  }
}

void SqliteSessionStore::describe(MetricSink& sink) const {
  std::size_t queued = 0;
  std::uint64_t refused = 0;
  std::uint64_t coalesced = 0;
  {
    const std::scoped_lock guard(mutex_);
    queued = pending_.bytes_held();
    refused = pending_.refused();
    coalesced = pending_.coalesced();
  }
  sink.gauge("tocsin_store_queue_bytes", "Changes of MQTT sessions that wait for the disk.", {},
             static_cast<double>(queued));
  sink.gauge("tocsin_store_writable", "1 unless the last commit of MQTT sessions failed.", {},
             writable() ? 1 : 0);
  sink.counter("tocsin_store_refused_total",
               "Changes that were not queued, because the queue was full.", {}, refused);
  sink.counter("tocsin_store_coalesced_total",
               "Changes that a later one made needless before they were written.", {}, coalesced);
  sink.counter("tocsin_store_commits_total", "Commits of MQTT sessions.", {}, commits_.get());
  sink.histogram("tocsin_store_commit_seconds", "Time of a commit of MQTT sessions.", {},
                 commit_seconds_);
  sink.counter("tocsin_store_rows_total", "Rows of MQTT sessions that were written.",
               {{"change", "put"}}, rows_put_.get());
  sink.counter("tocsin_store_rows_total", "Rows of MQTT sessions that were written.",
               {{"change", "remove"}}, rows_removed_.get());
  for (std::size_t i = 0; i < errors_.size(); ++i) {
    sink.counter("tocsin_store_errors_total", "Failed operations on the database.",
                 {{"fault", store::to_string(static_cast<store::DbFault>(i))}}, errors_[i].get());
  }
  sink.counter("tocsin_store_damaged_files_total", "Damaged databases that were moved away.", {},
               file_.set_aside_count());
  sink.counter("tocsin_store_damaged_rows_total", "Damaged rows that were left out.", {},
               rows_bad_.get());
  sink.counter("tocsin_store_expired_sessions_total",
               "Sessions that had expired when they were loaded.", {}, sessions_expired_.get());
}

}  // namespace tocsin::sessions
