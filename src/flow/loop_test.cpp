// Goal: messages, timers and tickers run on the loop's thread, each exactly once and in order.
// Method: a loop over an Io whose clock is set by hand.
#include "flow/loop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "tests/support/still_io.hpp"

namespace tocsin::flow {
namespace {

class ClockOnlyIo final : public testing::StillIo {
 public:
  ClockOnlyIo() { time = {}; }
  int wakes = 0;
  std::vector<MonoTime> deadlines;

  void poll(MonoTime deadline) override {
    deadlines.push_back(deadline);
    if (deadline != MonoTime::max() && deadline > time) time = deadline;
  }
  void wake() noexcept override { ++wakes; }
};

struct Recorder final : Receiver {
  std::vector<std::uint32_t> kinds;
  void on_message(const Message& message) noexcept override { kinds.push_back(message.kind); }
};

struct RecordingTimer final : Timer {
  std::vector<int>* fired = nullptr;
  int id = 0;
  void on_timer(MonoTime) noexcept override { fired->push_back(id); }
};

TEST(Loop, DeliversMessagesInOrderAndWakesOnlyASleeper) {
  ClockOnlyIo io;
  Loop loop(io, "test");
  Recorder recorder;
  for (std::uint32_t i = 0; i < 200; ++i) loop.post({.to = &recorder, .kind = i});
  EXPECT_EQ(io.wakes, 0) << "the loop was not asleep";
  loop.turn();
  ASSERT_EQ(recorder.kinds.size(), 200U);
  for (std::uint32_t i = 0; i < 200; ++i) EXPECT_EQ(recorder.kinds[i], i);
  EXPECT_EQ(io.deadlines.front(), MonoTime::min()) << "pending mail must not wait";
}

// Method: arm and disarm at random; what fires must be what a sorted list says.
TEST(Loop, TimersFireInOrderWhateverIsDisarmed) {
  ClockOnlyIo io;
  Loop loop(io, "test");
  std::mt19937 random(7);
  std::vector<RecordingTimer> timers(300);
  std::vector<int> fired;
  std::vector<std::pair<MonoTime, int>> expected;
  for (int i = 0; i < 300; ++i) {
    auto& timer = timers[static_cast<std::size_t>(i)];
    timer.fired = &fired;
    timer.id = i;
    loop.arm(timer, MonoTime{Duration{1 + random() % 100000}});
  }
  for (int i = 0; i < 300; ++i) {
    auto& timer = timers[static_cast<std::size_t>(i)];
    const MonoTime due{Duration{1 + random() % 100000}};
    if (i % 3 == 0) {
      loop.disarm(timer);
    } else {
      loop.arm(timer, due);
      expected.emplace_back(due, i);
    }
  }
  while (fired.size() < expected.size()) loop.turn();
  std::map<int, MonoTime> due_of;
  for (const auto& [due, id] : expected) due_of[id] = due;
  for (std::size_t i = 1; i < fired.size(); ++i) {
    EXPECT_LE(due_of.at(fired[i - 1]), due_of.at(fired[i]));
  }
  std::vector<int> want;
  for (const auto& [due, id] : expected) want.push_back(id);
  std::ranges::sort(want);
  std::ranges::sort(fired);
  EXPECT_EQ(fired, want);
}

TEST(Loop, ATickersDeadlineBoundsTheWait) {
  struct Every final : Ticker {
    int ticks = 0;
    MonoTime on_tick(MonoTime now) noexcept override {
      ++ticks;
      return now + std::chrono::milliseconds(5);
    }
  } ticker;
  ClockOnlyIo io;
  Loop loop(io, "test");
  loop.add_ticker(ticker);
  loop.turn();
  const MonoTime before = io.time;
  loop.turn();
  EXPECT_EQ(io.time - before, std::chrono::milliseconds(5));
  EXPECT_EQ(ticker.ticks, 2);
}

}  // namespace
}  // namespace tocsin::flow
