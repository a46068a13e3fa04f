// The journal from a full batch to its acknowledgement, on a real file through the I/O layer. The
// directory is TOCSIN_BENCH_DIR, or a new one below the working directory.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "flow/batch.hpp"
#include "io/uring/uring_io.hpp"
#include "stages/journal/journal_stage.hpp"
#include "stages/ledger/ledger_stage.hpp"

namespace tocsin {
namespace {

constexpr std::size_t batch_size = 256 * 1024;
constexpr std::size_t payload_size = 200;

struct Reactor final : flow::Receiver {
  void on_message(const flow::Message& message) noexcept override {
    auto* batch = static_cast<flow::Batch*>(message.object);
    (batch->stored ? stored : failed) += batch->size();
    batch->release();
  }
  std::uint64_t stored = 0;
  std::uint64_t failed = 0;
};

struct Worker final : flow::Receiver {
  void on_message(const flow::Message& message) noexcept override {
    auto* batch = static_cast<flow::Batch*>(message.object);
    static_cast<flow::SettlementRange*>(batch->settlement)->settle();
    batch->release();
  }
};

std::uint32_t fill(flow::Batch& batch, MonoTime now, std::uint32_t records_max) {
  batch.open(Level::stored, WallTime{}, now, {}, true);
  for (std::uint32_t i = 0; i < records_max && batch.fits(payload_size, 40); ++i) {
    std::memset(batch.payload_tail(), 'x', payload_size);
    RecordHeader header{};
    header.payload_size = payload_size;
    batch.append(header, "0123456789012345678901234567890123456789", now, {});
  }
  batch.seal();
  return batch.size();
}

// Range 0: records in a batch at most.
void journal_append_commit(benchmark::State& state) {
  namespace fs = std::filesystem;
  const char* place = std::getenv("TOCSIN_BENCH_DIR");
  const fs::path directory = fs::absolute(place != nullptr ? place : ".") / "journal-bench-data";
  fs::remove_all(directory);
  fs::create_directories(directory);
  {
    auto io = io::make_uring_io({});
    if (!io) {
      state.SkipWithError(io.error().c_str());
      return;
    }
    flow::Loop loop(**io, "bench");
    flow::BatchPool pool(32, batch_size);
    Reactor reactor;
    Worker worker;
    ledger::LedgerStage ledger(loop, directory.string(), {}, 64, make_null_log());
    journal::JournalStage journal(
        loop, pool, ledger, directory.string(), {.retention_bytes = std::uint64_t{256} << 20},
        {.reactors = {{&loop, &reactor, 1}}, .workers = {{&loop, &worker, 1}}}, make_log("error"));
    const bool recovered = ledger.recover() && journal.recover();
    if (!recovered) {
      state.SkipWithError("cannot recover an empty directory");
      return;
    }
    ledger.start();
    journal.start();
    const auto records_max = static_cast<std::uint32_t>(state.range(0));
    std::uint64_t sent = 0;
    for (auto _ : state) {
      flow::Batch* batch = nullptr;
      while ((batch = pool.acquire()) == nullptr) loop.turn();
      sent += fill(*batch, loop.now(), records_max);
      loop.post({.to = &journal,
                 .kind = journal::JournalStage::message_append,
                 .arg = 0,
                 .object = batch});
      loop.turn(MonoTime::min());
    }
    while (reactor.stored + reactor.failed < sent) loop.turn();
    if (reactor.failed > 0) state.SkipWithError("a commit failed");
    const auto& metrics = journal.metrics();
    state.SetItemsProcessed(static_cast<std::int64_t>(reactor.stored));
    state.SetBytesProcessed(static_cast<std::int64_t>(metrics.appended_bytes.get()));
    state.counters["commit_p50_us"] =
        static_cast<double>(metrics.commit_latency.quantile(0.5)) / 1e3;
    state.counters["commit_p99_us"] =
        static_cast<double>(metrics.commit_latency.quantile(0.99)) / 1e3;
    while (!journal.close()) loop.turn(loop.now() + std::chrono::milliseconds(1));
    while (!ledger.drain()) loop.turn(loop.now() + std::chrono::milliseconds(1));
  }
  fs::remove_all(directory);
}
BENCHMARK(journal_append_commit)->Arg(batch_records_max)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace tocsin
