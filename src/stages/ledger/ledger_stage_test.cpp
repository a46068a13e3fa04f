// Goal: the durable cursor never passes an unsettled or undurable event, and survives a torn write.
#include "stages/ledger/ledger_stage.hpp"

#include <gtest/gtest.h>

#include "tests/sim/test_disk.hpp"

namespace tocsin::ledger {
namespace {

using test::Disk;
using test::Faults;
using test::Leftover;
using test::TestIo;

struct Rig {
  TestIo io;
  flow::Loop loop;
  LedgerStage ledger;
  explicit Rig(Disk& disk, Faults faults = {})
      : io(disk, faults), loop(io, "test"), ledger(loop, "data", Options{}, 4, make_null_log()) {}
  void turns(int count) {
    for (int i = 0; i < count; ++i) loop.turn(io.now() + std::chrono::milliseconds(1));
  }
  bool drain() {
    for (int i = 0; i < 20; ++i) {
      if (ledger.drain()) return true;
      turns(1);
    }
    return false;
  }
};

TEST(Ledger, TheCursorFollowsTheSettledPrefix) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.ledger.recover());
  auto* a = rig.ledger.register_range(1, 10, 2);
  auto* b = rig.ledger.register_range(11, 20, 1);
  auto* c = rig.ledger.register_range(21, 30, 1);
  rig.ledger.set_durable_end(30);
  b->settle();
  a->settle();
  rig.turns(1);
  EXPECT_EQ(rig.ledger.settled_end(), 0U);
  a->settle();
  rig.turns(1);
  EXPECT_EQ(rig.ledger.settled_end(), 20U);
  c->settle();
  rig.turns(1);
  EXPECT_EQ(rig.ledger.settled_end(), 30U);
  EXPECT_EQ(rig.ledger.pending_ranges(), 0U);
}

// An accepted block overtakes a stored one that waits for its commit.
TEST(Ledger, TheCursorStaysBelowTheDurableEnd) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.ledger.recover());
  rig.ledger.set_durable_end(0);
  rig.ledger.register_range(11, 20, 1)->settle();
  rig.turns(1);
  EXPECT_EQ(rig.ledger.settled_end(), 0U);
  auto* stored = rig.ledger.register_range(1, 10, 1);
  rig.ledger.set_durable_end(10);
  EXPECT_EQ(rig.ledger.settled_end(), 0U);
  rig.ledger.set_durable_end(20);
  stored->settle();
  rig.turns(1);
  EXPECT_EQ(rig.ledger.settled_end(), 20U);
}

TEST(Ledger, MoreRangesThanPlannedStillCount) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.ledger.recover());
  std::vector<flow::SettlementRange*> ranges;
  for (std::uint64_t i = 1; i <= 10; ++i) ranges.push_back(rig.ledger.register_range(i, i, 1));
  rig.ledger.set_durable_end(10);
  for (auto it = ranges.rbegin(); it != ranges.rend(); ++it) (*it)->settle();
  rig.turns(1);
  EXPECT_EQ(rig.ledger.settled_end(), 10U);
}

void advance(Rig& rig, std::uint64_t first, std::uint64_t last) {
  rig.ledger.register_range(first, last, 1)->settle();
  rig.ledger.set_durable_end(last);
  rig.turns(1);
}

TEST(Ledger, TheCursorIsWrittenAtMostOncePerInterval) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.ledger.recover());
  rig.ledger.start();
  const auto writes = rig.io.writes;
  for (std::uint64_t i = 1; i <= 500; ++i) advance(rig, i, i);
  EXPECT_EQ(rig.io.writes, writes);
  rig.turns(1200);
  EXPECT_EQ(rig.io.writes, writes + 1);
  EXPECT_EQ(rig.ledger.cursor(), 500U);
}

TEST(Ledger, ARestartReadsTheCursor) {
  Disk disk;
  for (std::uint64_t i = 0; i < 5; ++i) {
    Rig rig(disk);
    ASSERT_TRUE(rig.ledger.recover());
    EXPECT_EQ(rig.ledger.cursor(), i * 10);
    rig.ledger.set_durable_end(i * 10);
    advance(rig, i * 10 + 1, i * 10 + 10);
    EXPECT_TRUE(rig.drain());
  }
  EXPECT_EQ(disk.durable.at("data/cursor")->durable.size(), 1024U);
}

// Method: cut the power within the write of the third value, at each byte of the slot.
TEST(Ledger, ATornWriteLeavesTheValueBefore) {
  for (std::size_t cut_bytes = 0; cut_bytes <= cursor_slot_size; ++cut_bytes) {
    Disk disk;
    {
      Rig rig(disk);
      ASSERT_TRUE(rig.ledger.recover());
      advance(rig, 1, 10);
      ASSERT_TRUE(rig.drain());
      advance(rig, 11, 20);
      ASSERT_TRUE(rig.drain());
      advance(rig, 21, 30);
      rig.io.faults_.stop_at = rig.io.operations;
      static_cast<void>(rig.ledger.drain());
      // The completion never comes; let it fail, so that the rig can be taken down.
      rig.turns(2);
      disk.power_cut(Leftover::last_cut, cut_bytes);
      rig.io.faults_ = {};
      rig.io.abandon(EIO);
    }
    Rig again(disk);
    ASSERT_TRUE(again.ledger.recover());
    EXPECT_TRUE(again.ledger.cursor() == 20 || again.ledger.cursor() == 30) << cut_bytes;
    // Byte 24 is the only one of the number that is not zero.
    EXPECT_EQ(again.ledger.cursor(), cut_bytes > 24 ? 30U : 20U) << cut_bytes;
  }
}

TEST(Ledger, AFailedWriteIsTriedAgainWithoutTouchingTheGoodSlot) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.ledger.recover());
  advance(rig, 1, 10);
  ASSERT_TRUE(rig.drain());
  const auto good = disk.cached.at("data/cursor")->cached;
  rig.io.faults_.fail_sync = rig.io.syncs;
  advance(rig, 11, 20);
  EXPECT_TRUE(rig.drain());
  EXPECT_EQ(rig.ledger.cursor(), 10U);
  EXPECT_TRUE(std::equal(good.begin(), good.begin() + cursor_slot_size,
                         disk.cached.at("data/cursor")->cached.begin()));
  rig.ledger.start();
  rig.turns(5);
  EXPECT_EQ(rig.ledger.cursor(), 20U);
}

TEST(Ledger, EveryFlippedBitOfASlotFallsBackToTheOther) {
  Disk disk;
  {
    Rig rig(disk);
    ASSERT_TRUE(rig.ledger.recover());
    advance(rig, 1, 10);
    ASSERT_TRUE(rig.drain());
    advance(rig, 11, 20);
    ASSERT_TRUE(rig.drain());
  }
  auto& bytes = disk.cached.at("data/cursor")->cached;
  for (std::size_t bit = 0; bit < cursor_slot_size * 8; ++bit) {
    const std::size_t at = cursor_slot_size + bit / 8;
    bytes[at] ^= static_cast<std::byte>(1U << (bit % 8));
    Rig rig(disk);
    ASSERT_TRUE(rig.ledger.recover());
    ASSERT_EQ(rig.ledger.cursor(), 10U) << bit;
    bytes[at] ^= static_cast<std::byte>(1U << (bit % 8));
  }
}

TEST(OutcomeLog, KeepsTheNewestAndCountsAll) {
  OutcomeLog log(3);
  for (std::uint64_t i = 1; i <= 5; ++i) {
    log.add({.id = {0, i},
             .rule = "r",
             .channel = "c",
             .recipient = "anna@example.com",
             .outcome = i == 5 ? flow::Outcome::dead : flow::Outcome::sent,
             .error = i == 5 ? "exhausted" : "",
             .attempts = 1});
  }
  const auto all = log.list(10);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].number, 5U);
  EXPECT_EQ(all[0].error, "exhausted");
  EXPECT_EQ(all[0].recipient, "a***@example.com");
  EXPECT_EQ(all[2].id.lo, 3U);
  EXPECT_EQ(log.list(1, 5).at(0).number, 4U);
  EXPECT_EQ(log.count(flow::Outcome::sent), 4U);
  EXPECT_EQ(log.count(flow::Outcome::dead), 1U);
}

TEST(OutcomeLog, RecipientsAreRedacted) {
  EXPECT_EQ(redact_recipient("+49 151 1234567"), "***67");
  EXPECT_EQ(redact_recipient("https://user:secret@hooks.example.com/T0/token?x=1"),
            "https://hooks.example.com/***");
  EXPECT_EQ(redact_recipient("https://example.com"), "https://example.com");
  EXPECT_EQ(redact_recipient("@example.com"), "***@example.com");
  EXPECT_EQ(redact_recipient("notifications/alarm"), "noti***");
  EXPECT_EQ(redact_recipient("abc"), "***");
  EXPECT_EQ(redact_recipient(""), "");
}

}  // namespace
}  // namespace tocsin::ledger
