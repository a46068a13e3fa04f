#pragma once
// For tests: a journal with its ledger, one reactor and one worker on one loop over a TestIo.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "flow/batch.hpp"
#include "stages/journal/journal_stage.hpp"
#include "stages/journal/recovery.hpp"
#include "tests/sim/test_disk.hpp"
#include "tests/support/bury.hpp"

namespace tocsin::journal::test {

using namespace tocsin::test;

inline constexpr std::size_t batch_size = 96 * 1024;

/// Counts instead of writing a cursor, so that a test can place the cursor.
struct FakeRegistry final : flow::SettlementRegistry, flow::Receiver {
  explicit FakeRegistry(flow::Loop*& loop_in) : loop(loop_in) {}
  flow::SettlementRange* register_range(std::uint64_t first, std::uint64_t last,
                                        std::uint32_t outstanding) override {
    auto& range = ranges.emplace_back(std::make_unique<flow::SettlementRange>());
    range->first_sequence = first;
    range->last_sequence = last;
    range->outstanding = outstanding;
    range->ledger = this;
    range->ledger_loop = loop;
    return range.get();
  }
  void set_durable_end(std::uint64_t sequence) noexcept override { durable = sequence; }
  [[nodiscard]] std::uint64_t cursor() const noexcept override { return at; }
  void on_message(const flow::Message&) noexcept override { ++settled; }

  flow::Loop*& loop;
  std::vector<std::unique_ptr<flow::SettlementRange>> ranges;
  std::uint64_t durable = 0;
  std::uint64_t at = 0;
  std::uint64_t settled = 0;
};

/// What one event is known by: its payload.
inline std::string payload_of(int number) { return "{\"n\":" + std::to_string(number) + "}"; }

struct Rig {
  static constexpr std::uint32_t kind_ack = 11;
  static constexpr std::uint32_t kind_match = 12;

  struct Reactor final : flow::Receiver {
    void on_message(const flow::Message& message) noexcept override {
      auto* batch = static_cast<flow::Batch*>(message.object);
      for (std::uint32_t i = 0; i < batch->size(); ++i) {
        const std::string payload(batch->view().record(i).payload());
        (batch->stored ? stored : failed).push_back(payload);
      }
      if (on_ack) on_ack(*batch);
      batch->release();
    }
    std::vector<std::string> stored;
    std::vector<std::string> failed;
    std::function<void(const flow::Batch&)> on_ack;
  } reactor;
  struct Worker final : flow::Receiver {
    void on_message(const flow::Message& message) noexcept override {
      auto* batch = static_cast<flow::Batch*>(message.object);
      for (std::uint32_t i = 0; i < batch->size(); ++i) {
        const auto record = batch->view().record(i);
        payloads.emplace_back(record.payload());
        sequences.push_back(record.sequence());
      }
      auto* range = static_cast<flow::SettlementRange*>(batch->settlement);
      EXPECT_NE(range, nullptr);
      range->settle();
      batch->release();
    }
    std::vector<std::string> payloads;
    std::vector<std::uint64_t> sequences;
  } worker;

  TestIo io;
  flow::Loop loop;
  flow::Loop* loop_pointer = &loop;
  flow::BatchPool pool;
  FakeRegistry registry{loop_pointer};
  std::unique_ptr<JournalStage> journal;

  static Options small_options() {
    return {.segment_size = 16 * 1024, .retention_bytes = 1 << 30, .retry_delay_ms = 1};
  }

  explicit Rig(Disk& disk, Faults faults = {}, Options options = small_options(),
               std::size_t pool_count = 16, std::uint64_t cursor = 0,
               std::size_t batch_bytes = batch_size)
      : io(disk, faults), loop(io, "test"), pool(pool_count, batch_bytes) {
    registry.at = cursor;
    journal = std::make_unique<JournalStage>(loop, pool, registry, "data", options,
                                             Wiring{.reactors = {{&loop, &reactor, kind_ack}},
                                                    .workers = {{&loop, &worker, kind_match}}},
                                             make_null_log());
  }
  // A journal that died with its power is not taken down in order.
  ~Rig() {
    if (!io.idle() || io.dead() || !journal->drained()) tocsin::test::bury(std::move(journal));
  }

  Result<RecoveryReport, std::string> start() {
    auto report = journal->recover();
    if (report) journal->start();
    return report;
  }
  void append(int first, int count = 1, Level level = Level::stored, std::size_t pad = 0) {
    std::vector<std::string> payloads;
    for (int i = 0; i < count; ++i) {
      payloads.push_back(payload_of(first + i) + std::string(pad, ' '));
    }
    append_all(payloads, level);
  }
  /// One batch of these.
  void append_all(const std::vector<std::string>& payloads, Level level = Level::stored) {
    flow::Batch* batch = pool.acquire();
    ASSERT_NE(batch, nullptr);
    batch->open(level, WallTime{}, MonoTime{}, {}, true);
    for (const std::string& payload : payloads) {
      std::memcpy(batch->payload_tail(), payload.data(), payload.size());
      RecordHeader header{};
      header.payload_size = static_cast<std::uint32_t>(payload.size());
      header.producer_time_us = producer_time_absent;  // So that no record ends in zeros.
      batch->append(header, "", MonoTime{}, {});
    }
    batch->seal();
    loop.post(
        {.to = journal.get(), .kind = JournalStage::message_append, .arg = 0, .object = batch});
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) loop.turn(io.now() + std::chrono::milliseconds(1));
  }
  bool close() {
    for (int i = 0; i < 100; ++i) {
      if (journal->drained() && journal->close()) return true;
      turns(1);
    }
    return false;
  }
};

inline Disk copy_of(const Disk& disk) {
  Disk copy;
  for (const auto& [name, inode] : disk.cached) copy.cached[name] = std::make_shared<Inode>(*inode);
  return copy;
}

inline RecoveryReport recover(Disk& disk) {
  TestIo io(disk);
  auto report = recover_segments(io, "data/journal", make_null_log());
  EXPECT_TRUE(report.has_value());
  return report ? *report : RecoveryReport{};
}

}  // namespace tocsin::journal::test
