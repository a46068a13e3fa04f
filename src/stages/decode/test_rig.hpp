#pragma once
// A reactor without sockets, for decode's tests, fuzz target and benchmark.

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flow/loop.hpp"
#include "stages/decode/decode_stage.hpp"
#include "tests/support/still_io.hpp"

namespace tocsin::decode::test {

/// Collects sealed batches, in order.
class Collector final : public flow::BatchSink {
 public:
  Collector() { batches.reserve(4096); }
  std::vector<flow::Batch*> batches;
  void on_batch(flow::Batch* batch) noexcept override { batches.push_back(batch); }
};

inline std::vector<flow::SourceConfig> sources() {
  std::vector<flow::SourceConfig> all(5);
  all[0].name = "telemetry";
  all[0].topic = "devices/{device}/telemetry/{kind}";
  all[0].type = "device_telemetry";
  all[0].priority = Priority::high;
  all[1].name = "order_created";
  all[1].severity = Severity::warning;
  all[2].name = "asleep";
  all[2].active = false;
  all[2].topic = "asleep/+";
  all[3].name = "fast";
  all[3].topic = "fast/#";
  all[3].level = Level::accepted;
  all[4].name = "shop";
  all[4].type = "com.example.sale";
  return all;
}

struct Rig {
  explicit Rig(std::size_t batches = 8, Settings settings = {})
      : pool(batches, 256 * 1024),
        stage(loop, pool, sink, *flow::SourceTable::build(sources()), settings, make_null_log()) {
    pool.set_waiters({&stage.batches()});
  }
  ~Rig() {
    for (flow::Batch* batch : sink.batches) batch->release();
  }
  /// The oldest sealed batch comes back from the journal.
  void commit(bool stored = true) {
    flow::Batch* const batch = sink.batches.front();
    sink.batches.erase(sink.batches.begin());
    batch->stored = stored;
    loop.post(
        {.to = &stage.batches(), .kind = flow::message_batch_committed, .arg = 0, .object = batch});
  }

  testing::StillIo io;
  flow::Loop loop{io, "test"};
  flow::BatchPool pool;
  Collector sink;
  DecodeStage stage;
};

/// Text with the readable bytes that a payload must have after it; hostile ones.
struct Padded {
  explicit Padded(std::string_view content) : size(content.size()), bytes(content) {
    bytes.append(json_padding, '"');
  }
  [[nodiscard]] std::string_view view() const noexcept {
    return std::string_view{bytes}.substr(0, size);
  }
  std::size_t size;
  std::string bytes;
};

}  // namespace tocsin::decode::test
