// Goal: those who route messages get the batches that concern them, each with a holder and a place
// in the settlement range, and cost nothing otherwise.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "flow/route_info.hpp"
#include "stages/journal/test_rig.hpp"

namespace tocsin::journal {
namespace {

struct Counting final : flow::Receiver {
  void on_message(const flow::Message& message) noexcept override {
    auto* const batch = static_cast<flow::Batch*>(message.object);
    ++batches;
    static_cast<flow::SettlementRange*>(batch->settlement)->settle();
    batch->release();
  }
  int batches = 0;
};

TEST(JournalSubscribers, GetWhatConcernsThem) {
  test::Disk disk;
  test::TestIo io{disk, {}};
  flow::Loop loop{io, "test"};
  flow::Loop* loop_pointer = &loop;
  flow::BatchPool pool{4, test::batch_size};
  test::FakeRegistry registry{loop_pointer};
  Counting worker;
  Counting idle;
  Counting busy;
  const std::atomic<std::uint32_t> nobody{0};
  const std::atomic<std::uint32_t> somebody{3};
  Wiring wiring;
  wiring.workers = {{&loop, &worker, 1}};
  wiring.subscribers = {{{&loop, &idle, 1}, &nobody}, {{&loop, &busy, 1}, &somebody}};
  const auto send = [&](std::uint8_t mqtt) {
    flow::Batch& batch = *pool.acquire();
    batch.open(Level::stored, WallTime{}, MonoTime{}, {}, true);
    RecordHeader record{};
    record.mqtt = mqtt;
    record.payload_size = 2;
    std::memcpy(batch.payload_tail(), "{}", 2);
    batch.append(record, {}, MonoTime{}, {});
    batch.seal();
    batch.assign(1, 1);
    forward(batch, registry, wiring);
    batch.release();
    for (int i = 0; i < 3; ++i) loop.turn(MonoTime::min());
  };
  send(0);
  EXPECT_EQ(busy.batches, 0) << "nothing in it came over MQTT";
  send(flow::mqtt_routed_bit | 1);
  EXPECT_EQ(busy.batches, 1);
  EXPECT_EQ(idle.batches, 0);
  send(flow::mqtt_routed_bit | flow::mqtt_retain_bit);
  EXPECT_EQ(busy.batches, 2);
  EXPECT_EQ(idle.batches, 1) << "everybody keeps the retained messages";
  EXPECT_EQ(worker.batches, 3);
  EXPECT_EQ(registry.settled, 3U);
  EXPECT_EQ(pool.available(), pool.count());
}

}  // namespace
}  // namespace tocsin::journal
