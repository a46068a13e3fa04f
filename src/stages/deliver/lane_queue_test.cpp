#include "stages/deliver/lane_queue.hpp"

#include <deque>

#include <gtest/gtest.h>

namespace tocsin::deliver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr MonoTime start{std::chrono::hours{1}};

class LaneQueueTest : public ::testing::Test {
 protected:
  flow::Notification& make(std::string recipient, Priority priority = Priority::normal,
                           std::size_t body_size = 10) {
    flow::Notification& n = all_.emplace_back();
    n.recipient = std::move(recipient);
    n.priority = priority;
    n.body.assign(body_size, 'x');
    return n;
  }
  std::deque<flow::Notification> all_;
};

// Goal: without batching each notification is its own message, in order.
TEST_F(LaneQueueTest, CountOneDoesNotBatch) {
  LaneQueue queue({.count = 1}, 16);
  flow::Notification& first = make("a");
  flow::Notification& second = make("a");
  queue.add(first, start);
  queue.add(second, start);
  Parcel* parcel = queue.take();
  ASSERT_NE(parcel, nullptr);
  EXPECT_EQ(parcel->items, std::vector<flow::Notification*>{&first});
  queue.finish(*parcel);
  parcel = queue.take();
  ASSERT_NE(parcel, nullptr);
  EXPECT_EQ(parcel->items, std::vector<flow::Notification*>{&second});
  queue.finish(*parcel);
  EXPECT_EQ(queue.take(), nullptr);
}

// Goal: a batch holds one recipient and one priority, and ends by count.
TEST_F(LaneQueueTest, BatchEndsByCount) {
  LaneQueue queue({.count = 3, .linger = seconds{10}}, 16);
  for (int i = 0; i < 4; ++i) queue.add(make("a"), start);
  queue.add(make("b"), start);
  queue.add(make("b", Priority::high), start);
  Parcel* full = queue.take();
  ASSERT_NE(full, nullptr);
  EXPECT_EQ(full->items.size(), 3U);
  EXPECT_EQ(queue.take(), nullptr) << "the others still linger";
  queue.promote(start + seconds{10}, false, true);
  std::vector<std::size_t> sizes;
  while (Parcel* parcel = queue.take()) sizes.push_back(parcel->items.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 1}));
}

// Goal: the bytes of a batch stay within their bound; one that is larger alone goes alone.
TEST_F(LaneQueueTest, BatchEndsByBytes) {
  LaneQueue queue({.count = 100, .size_bytes = 1000, .linger = seconds{10}}, 16);
  for (int i = 0; i < 3; ++i) queue.add(make("a", Priority::normal, 400), start);
  queue.add(make("a", Priority::normal, 5000), start);
  Parcel* first = queue.take();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->items.size(), 2U);
  Parcel* second = queue.take();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->size_bytes, 400U);
  Parcel* large = queue.take();
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->size_bytes, 5000U);
}

// Goal: linger counts from the first notification, and next_due() tells when it ends.
TEST_F(LaneQueueTest, LingerCountsFromTheFirst) {
  LaneQueue queue({.count = 10, .linger = milliseconds{100}}, 16);
  queue.add(make("a"), start);
  queue.add(make("a"), start + milliseconds{90});
  EXPECT_EQ(queue.next_due(true), start + milliseconds{100});
  queue.promote(start + milliseconds{99}, false, true);
  EXPECT_EQ(queue.take(), nullptr);
  queue.promote(start + milliseconds{100}, false, true);
  Parcel* parcel = queue.take();
  ASSERT_NE(parcel, nullptr);
  EXPECT_EQ(parcel->items.size(), 2U);
  EXPECT_EQ(queue.next_due(true), MonoTime::max());
}

// Goal: with linger 0 what piles up while the channel is busy still becomes one message.
TEST_F(LaneQueueTest, ReadyParcelTakesMoreUntilItIsSent) {
  LaneQueue queue({.count = 10}, 16);
  queue.add(make("a"), start);
  queue.add(make("a"), start);
  Parcel* parcel = queue.take();
  ASSERT_NE(parcel, nullptr);
  EXPECT_EQ(parcel->items.size(), 2U);
  queue.add(make("a"), start);
  EXPECT_EQ(parcel->items.size(), 2U) << "a message in flight does not change";
}

// Goal: a failed batch comes back as the same batch, when its time has come and not before.
TEST_F(LaneQueueTest, RetryIsTheSameBatch) {
  LaneQueue queue({.count = 2}, 16);
  queue.add(make("a"), start);
  queue.add(make("a"), start);
  Parcel* parcel = queue.take();
  ASSERT_NE(parcel, nullptr);
  const auto items = parcel->items;
  queue.retry_at(*parcel, start + seconds{60});
  queue.add(make("a"), start);
  queue.promote(start + seconds{59}, false, true);
  Parcel* fresh = queue.take();
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(fresh->items.size(), 1U);
  EXPECT_EQ(queue.take(), nullptr);
  queue.promote(start + seconds{60}, false, true);
  Parcel* again = queue.take();
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->items, items);
}

// Goal: urgent goes first, yet low is served at least once every `quantum` messages.
TEST_F(LaneQueueTest, StrictPrioritiesWithoutStarvation) {
  constexpr std::uint32_t quantum = 4;
  LaneQueue queue({.count = 1}, quantum);
  for (int i = 0; i < 3; ++i) queue.add(make("low", Priority::low), start);
  std::string served;
  for (int i = 0; i < 12; ++i) {
    queue.add(make("urgent", Priority::urgent), start);
    Parcel* parcel = queue.take();
    ASSERT_NE(parcel, nullptr);
    served += parcel->priority == Priority::low ? 'l' : 'u';
    queue.finish(*parcel);
  }
  EXPECT_EQ(served, "uuuuluuuuluu");
}

// Goal: clear() gives back everything that is not in flight, once.
TEST_F(LaneQueueTest, ClearVisitsEverythingQueued) {
  LaneQueue queue({.count = 2, .linger = seconds{1}}, 16);
  for (int i = 0; i < 3; ++i) queue.add(make("a"), start);
  queue.add(make("b"), start);
  Parcel* inflight = queue.take();
  ASSERT_NE(inflight, nullptr);
  std::size_t seen = 0;
  queue.clear([&](Parcel& parcel) { seen += parcel.items.size(); });
  EXPECT_EQ(seen, 2U);
  EXPECT_EQ(queue.take(), nullptr);
  EXPECT_EQ(queue.next_due(true), MonoTime::max());
  queue.retry_at(*inflight, start);
  queue.promote(start, false, true);
  EXPECT_EQ(queue.take(), inflight);
}

}  // namespace
}  // namespace tocsin::deliver
