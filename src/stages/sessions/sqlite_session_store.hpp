#pragma once
// Durable MQTT sessions: takes changes from any thread, writes them on one of its own.

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/session_store.hpp"
#include "stages/sessions/pending.hpp"
#include "stages/sessions/session_file.hpp"

namespace tocsin::sessions {

struct StoreSettings {
  std::string path;                                    ///< Of the database.
  std::size_t queue_bytes_max = std::size_t{8} << 20;  ///< Changes that wait for the disk.
  /// From the first change to its commit: what is undone meanwhile costs no write.
  Duration commit_interval = std::chrono::milliseconds{20};
  Duration retry_delay = std::chrono::milliseconds{100};  ///< After a failed commit; doubles.
  Duration retry_delay_max = std::chrono::seconds{5};
  FileSettings file = {};
  std::uint64_t hash_seed = 0;         ///< Secret.
  std::function<WallTime()> wall_now;  ///< Any thread.
  /// Whether expired sessions may be removed when they are loaded.
  bool wall_trusted = false;
};

/// load(), start(), changes from any thread, then stop().
///
/// Bound: a put that does not fit is refused; removals may use a quarter more, and what cancels an
/// earlier change always fits. A failed commit is tried again, and what it holds counts against the
/// bound; its ranges are not settled meanwhile.
class SqliteSessionStore final : public flow::SessionStore, public MetricSource {
 public:
  SqliteSessionStore(StoreSettings settings, Log log);
  SqliteSessionStore(const SqliteSessionStore&) = delete;
  SqliteSessionStore& operator=(const SqliteSessionStore&) = delete;
  /// stop() without patience.
  ~SqliteSessionStore();

  [[nodiscard]] Result<void, std::string> load(
      const std::function<void(flow::StoredSession&&)>& session,
      const std::function<void(flow::StoredRetained&&)>& retained) override;
  void start();
  /// Waits until everything that was queued before is durable. False after `timeout`.
  [[nodiscard]] bool flush(std::chrono::milliseconds timeout);
  /// Commits what waits, or gives up after `timeout` (one try at least); takes nothing more. False
  /// when something was lost: its ranges are never settled. One thread.
  bool stop(std::chrono::milliseconds timeout);

  bool put_session(const flow::StoredSession& session) noexcept override;
  bool remove_session(std::string_view client_id) noexcept override;
  bool put_subscription(std::string_view client_id,
                        const flow::StoredSubscription& subscription) noexcept override;
  bool remove_subscription(std::string_view client_id, std::string_view filter) noexcept override;
  bool put_message(std::string_view client_id, std::uint64_t ordinal, std::string_view bytes,
                   flow::SettlementRange* range) noexcept override;
  bool remove_message(std::string_view client_id, std::uint64_t ordinal) noexcept override;
  bool put_retained(std::string_view topic, std::string_view bytes,
                    flow::SettlementRange* range) noexcept override;

  /// False from a failed commit to the next that succeeds. Any thread.
  [[nodiscard]] bool writable() const noexcept { return writable_.load(std::memory_order_relaxed); }
  void describe(MetricSink& sink) const override;

 private:
  using Clock = std::chrono::steady_clock;
  class Loader;

  template <typename Change>
  bool change(const Change& apply) noexcept;
  [[nodiscard]] bool hurry() const noexcept;
  void run();
  [[nodiscard]] bool commit(std::unique_ptr<ChangeBatch> batch);
  [[nodiscard]] bool write(const ChangeBatch& batch);
  [[nodiscard]] bool pause_before_retry(Duration delay);
  void on_failure(const store::DbError& error);
  void on_success(const RowCounts& rows, Clock::duration took);

  const StoreSettings settings_;
  Log log_;
  SessionFile file_;  // Of the writer's thread, once that runs.

  mutable std::mutex mutex_;  // Guards everything below up to the thread.
  std::condition_variable changed_;
  std::condition_variable flushed_changed_;
  Pending pending_;
  bool idle_ = false;       // The writer waits for the first change,
  bool lingering_ = false;  // or for more of them.
  bool stop_ = false;
  bool stopped_ = false;
  bool lost_ = false;
  Clock::time_point stop_at_latest_;
  std::uint64_t flush_asked_ = 0;
  std::uint64_t flush_done_ = 0;

  std::atomic<bool> writable_{true};
  Counter commits_;
  Counter rows_put_;
  Counter rows_removed_;
  Counter rows_bad_;
  Counter sessions_expired_;
  std::array<Counter, 6> errors_;  // By fault.
  Histogram commit_seconds_;
  std::thread thread_;
};

}  // namespace tocsin::sessions
