// Goal: acknowledgements keep their promise: after the sync, in order, at the level asked for, and
// never for what could not be stored.
#include "stages/journal/journal_stage.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "stages/journal/test_rig.hpp"

namespace tocsin::journal {
namespace {

using test::Disk;
using test::Faults;
using test::payload_of;
using test::Rig;

std::vector<std::string> payloads(int first, int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back(payload_of(first + i));
  return all;
}

TEST(Journal, GivesSequencesFromOneAndAnswersInOrder) {
  for (const bool newest_first : {false, true}) {
    Disk disk;
    Rig rig(disk, {.newest_first = newest_first});
    ASSERT_TRUE(rig.start());
    rig.append(0, 2);
    rig.turns(8);  // The first commit begins, so that later batches gather.
    for (int i = 2; i < 9; ++i) {
      rig.append(i);
      if (i == 4) rig.turns(1);
    }
    rig.turns(20);
    EXPECT_EQ(rig.reactor.stored, payloads(0, 9));
    EXPECT_EQ(rig.worker.payloads, payloads(0, 9));
    EXPECT_EQ(rig.worker.sequences.front(), 1U);
    EXPECT_EQ(rig.worker.sequences.back(), 9U);
    EXPECT_EQ(rig.registry.durable, 9U);
    EXPECT_LT(rig.journal->metrics().commits.get(), 8U) << "nothing was grouped";
    EXPECT_EQ(rig.pool.available(), rig.pool.count()) << "a holder was left over";
    EXPECT_TRUE(rig.close());
  }
}

TEST(Journal, StoredWaitsForTheSyncAndAcceptedDoesNot) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.start());
  rig.turns(8);
  const auto syncs = rig.io.syncs;
  rig.append(1, 1, Level::stored);
  rig.append(2, 1, Level::accepted);
  rig.turns(1);
  rig.loop.turn(rig.io.now());
  EXPECT_EQ(rig.reactor.stored.front(), payload_of(2)) << "accepted leaves first";
  rig.turns(10);
  EXPECT_GT(rig.io.syncs, syncs);
  EXPECT_EQ(rig.reactor.stored.size(), 2U);
  EXPECT_EQ(rig.worker.payloads.size(), 2U);
  EXPECT_TRUE(rig.close());
}

// Method: at the moment of each acknowledgement, the event must be in the durable state of the
// disk, its file's name included.
TEST(Journal, AcknowledgesOnlyWhatAPowerCutLeaves) {
  Disk disk;
  Rig rig(disk);
  int checked = 0;
  rig.reactor.on_ack = [&](const flow::Batch& batch) {
    const std::string payload(batch.view().record(0).payload());
    bool found = false;
    for (const auto& [name, inode] : disk.durable) {
      const std::string_view bytes(reinterpret_cast<const char*>(inode->durable.data()),
                                   inode->durable.size());
      found = found || bytes.find(payload) != bytes.npos;
    }
    EXPECT_TRUE(found) << payload;
    ++checked;
  };
  ASSERT_TRUE(rig.start());
  for (int i = 100; i < 130; ++i) {
    rig.append(i);
    if (i % 3 == 0) rig.turns(3);
  }
  rig.turns(40);
  EXPECT_EQ(checked, 30);
  EXPECT_TRUE(rig.close());
}

TEST(Journal, RollsToANewFileAndAStartFindsAll) {
  Disk disk;
  {
    Rig rig(disk);
    ASSERT_TRUE(rig.start());
    for (int i = 0; i < 10; ++i) {
      rig.append(i);
      rig.turns(4);
    }
    rig.turns(10);
    EXPECT_EQ(rig.reactor.stored.size(), 10U);
    EXPECT_TRUE(rig.close());
  }
  EXPECT_TRUE(disk.cached.contains("data/journal/00000000000000000001.seg"));
  EXPECT_TRUE(disk.cached.contains("data/journal/00000000000000000005.seg"));
  Rig again(disk);
  const auto report = again.start();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->segments.size(), 3U);
  EXPECT_EQ(report->next_sequence, 11U);
  EXPECT_EQ(report->torn_bytes, 0U);
  again.append(10);
  again.turns(40);
  EXPECT_EQ(again.worker.payloads, payloads(0, 11)) << "unprocessed events come again, in order";
  EXPECT_EQ(again.reactor.stored, payloads(10, 1));
  EXPECT_TRUE(again.close());
}

// Goal: a file is left when it is full of what is in it, not of what blocks would take alone.
TEST(Journal, BlocksThatSharePagesFillAFileTogether) {
  Disk disk;
  Options options = Rig::small_options();
  options.segment_size = 64 * 1024;
  Rig rig(disk, {}, options);
  ASSERT_TRUE(rig.start());
  rig.turns(20);
  for (int i = 0; i < 30; ++i) {
    rig.append(i);
    if (i % 3 == 2) rig.turns(6);
  }
  rig.turns(10);
  EXPECT_EQ(rig.reactor.stored, payloads(0, 30));
  EXPECT_EQ(rig.journal->metrics().commits.get(), 10U);
  EXPECT_EQ(rig.journal->metrics().appended_bytes.get(), 10 * page_size);
  EXPECT_EQ(rig.journal->metrics().segment_count.load(), 1U);
  EXPECT_TRUE(rig.close());
  Rig again(disk);
  ASSERT_TRUE(again.start());
  again.turns(40);
  EXPECT_EQ(again.worker.payloads, payloads(0, 30));
  EXPECT_TRUE(again.close());
}

TEST(Journal, EventsUpToTheCursorAreNotReplayed) {
  Disk disk;
  {
    Rig rig(disk);
    ASSERT_TRUE(rig.start());
    for (int i = 0; i < 6; ++i) {
      rig.append(i);
      rig.turns(6);
    }
    ASSERT_TRUE(rig.close());
  }
  Rig again(disk, {}, Rig::small_options(), 16, 4);
  ASSERT_TRUE(again.start());
  again.turns(20);
  EXPECT_EQ(again.worker.payloads, payloads(4, 2));
  EXPECT_TRUE(again.close());
}

// Goal: with a pool of two, replay of many blocks neither deadlocks nor disorders new events.
TEST(Journal, ReplayGoesBeforeNewEventsAndLeavesThemRoom) {
  Disk disk;
  {
    Rig rig(disk);
    ASSERT_TRUE(rig.start());
    for (int i = 0; i < 20; ++i) {
      rig.append(i);
      rig.turns(6);
    }
    ASSERT_TRUE(rig.close());
  }
  Rig again(disk, {}, Rig::small_options(), 2);
  ASSERT_TRUE(again.start());
  for (int i = 20; i < 25; ++i) {
    again.append(i, 1, i % 2 == 0 ? Level::accepted : Level::stored);
    again.turns(6);
  }
  again.turns(60);
  EXPECT_EQ(again.worker.payloads, payloads(0, 25));
  EXPECT_EQ(again.reactor.stored, payloads(20, 5));
  EXPECT_FALSE(again.journal->replaying());
  EXPECT_TRUE(again.close());
}

// Goal: blocks that were written larger than this configuration's are replayed whole, in order and
// with their sequences, over as many batches as it takes, also when the pool runs dry in between.
TEST(Journal, ReplaySplitsBlocksThatAreTooLarge) {
  constexpr int count = 300;
  constexpr std::size_t pad = 500;
  Disk disk;
  {
    Rig rig(disk, {}, Rig::small_options(), 4, 0, 4 * test::batch_size);
    ASSERT_TRUE(rig.start());
    rig.append(0, count, Level::stored, pad);
    rig.turns(6);
    rig.append(count, 1);
    rig.turns(6);
    ASSERT_TRUE(rig.close());
  }
  Rig again(disk, {}, Rig::small_options(), 2);
  ASSERT_TRUE(again.start());
  again.turns(200);
  std::vector<std::string> wanted;
  std::vector<std::uint64_t> sequences;
  for (int i = 0; i <= count; ++i) {
    wanted.push_back(payload_of(i) + std::string(i < count ? pad : 0, ' '));
    sequences.push_back(static_cast<std::uint64_t>(i) + 1);
  }
  EXPECT_EQ(again.worker.payloads, wanted);
  EXPECT_EQ(again.worker.sequences, sequences);
  EXPECT_GT(again.registry.ranges.size(), 2U) << "the block fitted: the test shows nothing";
  EXPECT_FALSE(again.journal->replaying());
  EXPECT_TRUE(again.close());
}

// Goal: a cursor inside a block: what is before it is not processed again.
TEST(Journal, ReplayBeginsInsideABlock) {
  Disk disk;
  {
    Rig rig(disk);
    ASSERT_TRUE(rig.start());
    rig.append(0, 10);
    rig.turns(6);
    ASSERT_TRUE(rig.close());
  }
  Rig again(disk, {}, Rig::small_options(), 4, 6);
  ASSERT_TRUE(again.start());
  again.turns(20);
  EXPECT_EQ(again.worker.payloads, payloads(6, 4));
  EXPECT_EQ(again.worker.sequences, (std::vector<std::uint64_t>{7, 8, 9, 10}));
  EXPECT_TRUE(again.close());
}

struct FaultRun {
  std::vector<std::string> stored;
  std::vector<std::string> failed;
  std::uint64_t failures = 0;
  std::uint64_t operations = 0;
  std::uint64_t writes = 0;  // Before the last event, as are the syncs.
  std::uint64_t syncs = 0;
};

FaultRun run_with(Disk& disk, Faults faults, Level level = Level::stored) {
  FaultRun result;
  Rig rig(disk, faults, Rig::small_options(), 32);
  if (!rig.start()) return result;
  for (int i = 1000; i < 1016; ++i) {
    rig.append(i, 1, level);
    if (i % 3 != 0) rig.turns(2);
  }
  rig.turns(60);
  result.writes = rig.io.writes;
  result.syncs = rig.io.syncs;
  rig.append(1016, 1, level);  // Whether work goes on.
  rig.turns(20);
  result.stored = rig.reactor.stored;
  result.failed = rig.reactor.failed;
  for (const Counter& c : rig.journal->metrics().failures) result.failures += c.get();
  result.operations = rig.io.operations;
  EXPECT_TRUE(rig.io.dead() || rig.close());
  return result;
}

std::set<std::string> recovered(Disk& disk) {
  Rig rig(disk, {}, Rig::small_options(), 64);
  const auto report = rig.start();
  EXPECT_TRUE(report);
  rig.turns(80);
  EXPECT_FALSE(rig.journal->replaying());
  EXPECT_TRUE(rig.close());
  for (std::size_t i = 1; i < rig.worker.sequences.size(); ++i) {
    EXPECT_LT(rig.worker.sequences[i - 1], rig.worker.sequences[i]);
  }
  return {rig.worker.payloads.begin(), rig.worker.payloads.end()};
}

void expect_acknowledged_survive(const FaultRun& run, Disk& disk) {
  const auto found = recovered(disk);
  for (const std::string& payload : run.stored) EXPECT_TRUE(found.contains(payload)) << payload;
}

// Method: fail each write, then each sync, of the same run in turn; afterwards the power goes.
TEST(Journal, AFailedWriteOrSyncIsNeverAcknowledgedAndWorkGoesOn) {
  Disk clean_disk;
  const FaultRun clean = run_with(clean_disk, {});
  ASSERT_EQ(clean.stored, payloads(1000, 17));
  bool some_failed = false;
  for (const bool sync : {false, true}) {
    // The first sync belongs to recover(), which refuses to start without it.
    for (std::uint64_t n = sync ? 1 : 0; n < (sync ? clean.syncs : clean.writes); ++n) {
      SCOPED_TRACE((sync ? "sync " : "write ") + std::to_string(n));
      Disk disk;
      const FaultRun run = run_with(disk, {.fail_write = sync ? Faults::never : n,
                                           .fail_sync = sync ? n : Faults::never,
                                           .newest_first = n % 2 == 1});
      EXPECT_EQ(run.stored.size() + run.failed.size(), 17U) << "each gets one answer";
      EXPECT_EQ(run.failures, 1U);
      ASSERT_FALSE(run.stored.empty());
      EXPECT_EQ(run.stored.back(), payload_of(1016)) << "work went on";
      some_failed = some_failed || !run.failed.empty();
      disk.power_cut(test::Leftover::none);
      expect_acknowledged_survive(run, disk);
    }
  }
  EXPECT_TRUE(some_failed);
}

TEST(Journal, AcceptedEventsThatCannotBeStoredAreCountedAsLost) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.start());
  rig.turns(8);
  rig.io.faults_.fail_sync = rig.io.syncs + 2;  // After the directory and the next spare file.
  rig.append(1, 3, Level::accepted);
  rig.turns(20);
  EXPECT_EQ(rig.reactor.stored.size(), 3U);
  EXPECT_EQ(rig.worker.payloads.size(), 3U);
  EXPECT_EQ(rig.journal->metrics().accepted_lost.get(), 3U);
  rig.append(4);
  rig.turns(20);
  EXPECT_EQ(rig.worker.sequences.back(), 4U) << "a sequence is never given twice";
  EXPECT_TRUE(rig.close());
}

TEST(Journal, AFullDiskRefusesAtOnceAndResumesByItself) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.start());
  rig.turns(8);
  rig.io.full = true;
  for (int i = 0; i < 12; ++i) {
    rig.append(i);
    rig.turns(3);
  }
  EXPECT_FALSE(rig.reactor.stored.empty()) << "what was prepared can be used";
  EXPECT_FALSE(rig.reactor.failed.empty());
  EXPECT_EQ(rig.reactor.failed.back(), payload_of(11)) << "answered at once, not kept waiting";
  EXPECT_GT(rig.journal->metrics().failures[0].get(), 0U);
  rig.io.full = false;
  rig.turns(50);
  rig.append(50);
  rig.turns(10);
  EXPECT_EQ(rig.reactor.stored.back(), payload_of(50));
  EXPECT_EQ(rig.pool.available(), rig.pool.count());
  EXPECT_TRUE(rig.close());
}

// Method: the power goes at each operation in turn; of what was not synced, nothing, everything or
// every other write is left.
TEST(Journal, AcknowledgedEventsSurviveAPowerCutAtEveryOperation) {
  Disk clean_disk;
  const FaultRun clean = run_with(clean_disk, {});
  for (const auto leftover : {test::Leftover::none, test::Leftover::all, test::Leftover::odd}) {
    for (std::uint64_t at = 0; at < clean.operations; ++at) {
      SCOPED_TRACE(::testing::Message() << "operation " << at << " leftover " << int(leftover));
      Disk disk;
      const FaultRun run = run_with(disk, {.stop_at = at});
      disk.power_cut(leftover);
      expect_acknowledged_survive(run, disk);
    }
  }
}

// Method: the power goes within a write: each of its bytes is the last that reaches the disk.
TEST(Journal, AcknowledgedEventsSurviveAPowerCutAtEveryByteOfAWrite) {
  Disk clean_disk;
  const FaultRun clean = run_with(clean_disk, {});
  const std::uint64_t at = clean.operations * 2 / 3;
  for (std::size_t cut_bytes = 0; cut_bytes <= 4096; cut_bytes += cut_bytes < 256 ? 1 : 61) {
    SCOPED_TRACE(cut_bytes);
    Disk disk;
    const FaultRun run = run_with(disk, {.stop_at = at});
    disk.power_cut(test::Leftover::last_cut, cut_bytes);
    expect_acknowledged_survive(run, disk);
  }
}

TEST(Journal, RetentionDeletesOnlyProcessedFiles) {
  Disk disk;
  Options options = Rig::small_options();
  options.retention_bytes = 40 * 1024;
  Rig rig(disk, {}, options);
  ASSERT_TRUE(rig.start());
  for (int i = 0; i < 24; ++i) {
    rig.append(i);
    rig.turns(5);
  }
  EXPECT_EQ(rig.journal->metrics().segments_deleted.get(), 0U) << "the cursor stands at 0";
  rig.registry.at = 9;
  for (int i = 24; i < 32; ++i) {
    rig.append(i);
    rig.turns(5);
  }
  EXPECT_EQ(rig.journal->metrics().segments_deleted.get(), 2U) << "events 9 to 12 share a file";
  EXPECT_FALSE(disk.cached.contains("data/journal/00000000000000000001.seg"));
  EXPECT_TRUE(disk.cached.contains("data/journal/00000000000000000009.seg"));
  EXPECT_TRUE(rig.close());
}

// Goal: drained says when everything that was appended is committed, not earlier.
TEST(Journal, IsDrainedWhenAllIsCommitted) {
  Disk disk;
  Rig rig(disk);
  ASSERT_TRUE(rig.start());
  EXPECT_TRUE(rig.journal->drained());
  for (int i = 0; i < 5; ++i) rig.append(i);
  rig.loop.turn(rig.io.now());
  EXPECT_FALSE(rig.journal->drained());
  for (int i = 0; i < 20 && !rig.journal->drained(); ++i) rig.turns(1);
  EXPECT_TRUE(rig.journal->drained());
  rig.turns(1);
  EXPECT_EQ(rig.reactor.stored.size(), 5U);
  EXPECT_TRUE(rig.close());
}

}  // namespace
}  // namespace tocsin::journal
