// What durable sessions cost: the caller's side of one message, and rows a second to the disk of
// the directory for temporary files (a commit waits for the device there).

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/log.hpp"
#include "stages/sessions/sqlite_session_store.hpp"
#include "tests/support/temporary_directory.hpp"

namespace tocsin::sessions {
namespace {

constexpr std::uint64_t clients = 100;
constexpr std::chrono::seconds patience{60};

class Rig {
 public:
  explicit Rig(Duration commit_interval)
      : store_({.path = directory_ / "tocsin.db",
                .queue_bytes_max = std::size_t{32} << 20U,
                .commit_interval = commit_interval,
                .hash_seed = 1,
                .wall_now = [] { return WallTime{}; }},
               make_null_log()) {
    if (!store_.load([](auto&&) {}, [](auto&&) {})) return;
    store_.start();
    for (std::uint64_t c = 0; c < clients; ++c) {
      names_.push_back("device-with-a-usual-name-" + std::to_string(c));
      flow::StoredSession session;
      session.client_id = names_.back();
      store_.put_session(session);
    }
    static_cast<void>(store_.flush(patience));
  }
  SqliteSessionStore& store() { return store_; }
  [[nodiscard]] const std::string& name(std::uint64_t n) const { return names_[n % clients]; }

 private:
  testing::TemporaryDirectory directory_;
  std::vector<std::string> names_;
  SqliteSessionStore store_;
};

/// A subscriber that acknowledges: put, and removed 100 messages later. Argument: payload bytes.
void bm_store_put_and_remove(benchmark::State& state) {
  Rig rig(std::chrono::hours{1});  // Nothing is written: the caller's cost alone.
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
  std::uint64_t n = 0;
  for (auto _ : state) {
    rig.store().put_message(rig.name(n), n, payload, nullptr);
    if (n >= 100) rig.store().remove_message(rig.name(n - 100), n - 100);
    ++n;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(n));
}
BENCHMARK(bm_store_put_and_remove)->Arg(200)->Arg(4096);

/// The same while the writer commits every 20 ms beside it.
void bm_store_put_and_remove_committing(benchmark::State& state) {
  Rig rig(std::chrono::milliseconds{20});
  const std::string payload(200, 'x');
  std::uint64_t n = 0;
  for (auto _ : state) {
    rig.store().put_message(rig.name(n), n, payload, nullptr);
    if (n >= 100) rig.store().remove_message(rig.name(n - 100), n - 100);
    ++n;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(n));
}
BENCHMARK(bm_store_put_and_remove_committing);

/// Subscribers that are away: every message is written. Items are rows; the argument is how many
/// one commit holds.
void bm_store_rows(benchmark::State& state) {
  Rig rig(std::chrono::hours{1});
  const std::string payload(200, 'x');
  const auto rows = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t n = 0;
  for (auto _ : state) {
    for (std::uint64_t end = n + rows; n < end; ++n) {
      if (!rig.store().put_message(rig.name(n), n, payload, nullptr)) {
        state.SkipWithError("the queue is full");
        return;
      }
    }
    if (!rig.store().flush(patience)) state.SkipWithError("cannot write");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(n));
}
BENCHMARK(bm_store_rows)->Arg(1)->Arg(100)->Arg(10'000)->UseRealTime();

}  // namespace
}  // namespace tocsin::sessions
