#pragma once
// A reactor without sockets, for decode's tests, fuzz target and benchmark.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flow/loop.hpp"
#include "stages/decode/decode_stage.hpp"

namespace tocsin::decode::test {

/// Clocks that a test sets; nothing else works.
class StillIo final : public io::Io {
 public:
  MonoTime mono = from_us<MonoTime>(5'000'000);
  WallTime wall = from_us<WallTime>(1'700'000'000'000'000);
  bool trusted = true;

  Result<io::ListenerId, io::Errno> listen(const io::Endpoint&, bool, io::AcceptHandler&) override {
    return Unexpected{1};
  }
  io::Endpoint local_endpoint(io::ListenerId) const override { return {}; }
  void close_listener(io::ListenerId) override {}
  Result<io::StreamId, io::Errno> connect(const io::Endpoint&, io::StreamHandler&) override {
    return Unexpected{1};
  }
  void receive_start(io::StreamId) override {}
  void receive_stop(io::StreamId) override {}
  void send(io::StreamId, std::span<const std::byte>) override {}
  void close(io::StreamId) override {}
  void write(io::FileId, std::span<const std::byte>, std::uint64_t, io::FileHandler&) override {}
  void write_and_sync(io::FileId, std::span<const std::byte>, std::uint64_t,
                      io::FileHandler&) override {}
  Result<io::FileId, io::Errno> open(const std::string&, io::OpenMode) override {
    return Unexpected{1};
  }
  void close_file(io::FileId) override {}
  Result<std::size_t, io::Errno> read(io::FileId, std::span<std::byte>, std::uint64_t) override {
    return Unexpected{1};
  }
  Result<std::uint64_t, io::Errno> size(io::FileId) override { return Unexpected{1}; }
  Result<void, io::Errno> truncate(io::FileId, std::uint64_t) override { return Unexpected{1}; }
  Result<void, io::Errno> sync(io::FileId) override { return Unexpected{1}; }
  Result<void, io::Errno> make_directories(const std::string&) override { return Unexpected{1}; }
  Result<void, io::Errno> sync_directory(const std::string&) override { return Unexpected{1}; }
  Result<std::vector<std::string>, io::Errno> list(const std::string&) override {
    return Unexpected{1};
  }
  Result<void, io::Errno> rename(const std::string&, const std::string&) override {
    return Unexpected{1};
  }
  Result<void, io::Errno> remove(const std::string&) override { return Unexpected{1}; }
  Result<void, io::Errno> lock(const std::string&) override { return Unexpected{1}; }
  MonoTime now() const noexcept override { return mono; }
  WallTime wall_now() const noexcept override { return wall; }
  bool wall_trusted() const noexcept override { return trusted; }
  BootId boot_id() const noexcept override { return {}; }
  void random(std::span<std::byte> into) noexcept override {
    std::fill(into.begin(), into.end(), std::byte{42});
  }
  void poll(MonoTime) override {}
  void wake() noexcept override {}
  io::Backend backend() const noexcept override { return io::Backend::sim; }
};

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

  StillIo io;
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
