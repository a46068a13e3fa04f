// Goal: files that serve again save writing and lose nothing: what is left in them of their first
// life never comes back as events, and damage is still told from it.
#include <gtest/gtest.h>

#include <algorithm>

#include "flow/block.hpp"
#include "stages/journal/recovery.hpp"
#include "stages/journal/segment_reader.hpp"
#include "stages/journal/test_rig.hpp"

namespace tocsin::journal {
namespace {

using test::copy_of;
using test::Disk;
using test::Faults;
using test::Inode;
using test::Leftover;
using test::payload_of;
using test::recover;
using test::Rig;
using test::TestIo;

// A block takes two pages: a torn commit can mix pages of two lives. All blocks look alike, and the
// first page is the same in all of them but for the header: so the old records stand where the new
// ones should, and each is intact.
constexpr std::uint64_t block_events = 3;
constexpr int first_number = 1000;

Options small_files() {
  Options options = Rig::small_options();
  options.segment_size = 32 * 1024;
  options.retention_bytes = 80 * 1024;
  return options;
}

std::string payload_at(std::uint64_t sequence) {
  if (sequence % block_events == 1) return std::string(4500, '=');
  return payload_of(first_number + static_cast<int>(sequence)) + std::string(1400, ' ');
}

struct Outcome {
  std::vector<std::string> stored;
  std::uint64_t cursor = 0;
  std::uint64_t operations = 0;
  std::uint64_t operations_before = 0;  // Of the first time that a file served again.
  std::uint64_t recycled = 0;
};

// Leaves the disk as a process does that is killed.
Outcome run_with(Disk& disk, Faults faults, std::uint64_t blocks = 60) {
  Outcome run;
  Rig rig(disk, faults, small_files(), 16);
  if (!rig.start()) return run;
  for (std::uint64_t i = 0; i < blocks && !rig.io.dead(); ++i) {
    const std::uint64_t first = 1 + i * block_events;
    rig.append_all({payload_at(first), payload_at(first + 1), payload_at(first + 2)});
    rig.turns(i % 3 == 0 ? 1 : 4);
    if (!rig.worker.sequences.empty()) rig.registry.at = rig.worker.sequences.back();
    if (rig.journal->metrics().segments_recycled.get() == 0) {
      run.operations_before = rig.io.operations;
    }
  }
  rig.turns(10);
  run.stored = rig.reactor.stored;
  run.cursor = rig.registry.at;
  run.operations = rig.io.operations;
  run.recycled = rig.journal->metrics().segments_recycled.get();
  return run;
}

std::string path_of(const SegmentKey& key) { return "data/journal/" + segment_name(key); }
test::Bytes& file(Disk& disk, const SegmentKey& key) {
  return disk.cached.at(path_of(key))->cached;
}

// Offsets of the good blocks.
std::vector<std::size_t> blocks_of(Disk& disk, const SegmentKey& key) {
  TestIo io(disk);
  SegmentReader reader(io);
  EXPECT_TRUE(reader.open(path_of(key), key.tag, UINT64_MAX));
  std::vector<std::size_t> blocks;
  while (reader.next(key.id) == SegmentReader::Step::block) {
    const std::size_t size = reader.block().header().block_size;
    blocks.push_back(static_cast<std::size_t>(reader.block_end()) - align_to_block(size));
  }
  return blocks;
}

TEST(SegmentName, SaysWhichBlocksAreTheFiles) {
  const SegmentKey fresh{7, 7};
  const SegmentKey recycled{7, 0xAB00'0000'0000'0001U};
  EXPECT_EQ(segment_name(fresh), "00000000000000000007.seg");
  EXPECT_EQ(segment_name(recycled), "00000000000000000007-ab00000000000001.seg");
  for (const SegmentKey& key : {fresh, recycled}) {
    EXPECT_EQ(parse_segment_name(segment_name(key)), key);
  }
  for (const char* const name :
       {"spare", "00000000000000000000.seg", "0000000000000000000x.seg",
        "00000000000000000007-ab0000000000000.seg", "00000000000000000007-ab0000000000000x.seg",
        "00000000000000000007_ab00000000000001.seg", "99999999999999999999.seg", ""}) {
    EXPECT_EQ(parse_segment_name(name), std::nullopt) << name;
  }
}

TEST(Recycling, FilesServeAgainAndNoZerosAreWritten) {
  Disk disk;
  const Outcome run = run_with(disk, {});
  EXPECT_EQ(run.stored.size(), 180U);
  EXPECT_GE(run.recycled, 8U);
  EXPECT_LE(disk.cached.size(), 6U);
  const auto report = recover(disk);
  EXPECT_EQ(report.next_sequence, 181U);
  EXPECT_EQ(report.damaged_regions + report.torn_segments, 0U);
  EXPECT_TRUE(std::ranges::any_of(report.segments,
                                  [](const SegmentInfo& info) { return info.key.recycled(); }));
  Rig again(disk, {}, small_files(), 16, 165);
  ASSERT_TRUE(again.start());
  again.turns(100);
  ASSERT_EQ(again.worker.sequences.size(), 15U);
  for (std::size_t i = 0; i < 15; ++i) {
    EXPECT_EQ(again.worker.sequences[i], 166 + i);
    EXPECT_EQ(again.worker.payloads[i], payload_at(166 + i));
  }
  EXPECT_TRUE(again.close());
}

// Method: the power goes at each operation in turn once files serve again; of what was not synced
// nothing, all, or every other page is left.
TEST(Recycling, APowerCutAtAnyOperationBringsNothingBack) {
  Disk clean_disk;
  const Outcome clean = run_with(clean_disk, {}, 40);
  ASSERT_GT(clean.recycled, 3U);
  for (const auto leftover : {Leftover::none, Leftover::all, Leftover::odd, Leftover::even}) {
    for (std::uint64_t at = clean.operations_before; at < clean.operations; ++at) {
      SCOPED_TRACE(::testing::Message() << "operation " << at << " leftover " << int(leftover));
      Disk disk;
      const Outcome run = run_with(disk, {.stop_at = at}, 40);
      disk.power_cut(leftover);
      Rig rig(disk, {}, small_files(), 16, run.cursor);
      ASSERT_TRUE(rig.start());
      rig.turns(60);
      ASSERT_FALSE(rig.journal->replaying());
      std::set<std::string> found;
      for (std::size_t i = 0; i < rig.worker.payloads.size(); ++i) {
        ASSERT_EQ(rig.worker.payloads[i], payload_at(rig.worker.sequences[i]));
        found.insert(rig.worker.payloads[i]);
      }
      for (std::uint64_t sequence = run.cursor + 1; sequence <= run.stored.size(); ++sequence) {
        ASSERT_TRUE(found.contains(payload_at(sequence))) << sequence << " is lost";
      }
      ASSERT_TRUE(rig.close());
    }
  }
}

class RecycledDamage : public ::testing::Test {
 protected:
  // The last two files serve again; the last one holds several blocks, and old ones behind them.
  void SetUp() override {
    ASSERT_GT(run_with(original_, {}, 59).recycled, 3U);
    Disk copy = copy_of(original_);
    clean_ = recover(copy);
    ASSERT_GE(clean_.segments.size(), 2U);
    last_ = clean_.segments.back().key;
    before_ = clean_.segments[clean_.segments.size() - 2].key;
    ASSERT_TRUE(last_.recycled() && before_.recycled());
    blocks_ = blocks_of(original_, last_);
    ASSERT_GE(blocks_.size(), 2U);
    ASSERT_EQ(clean_.damaged_regions + clean_.torn_segments, 0U) << "what is stale is no damage";
    ASSERT_GT(file(original_, last_).size(), file(copy, last_).size()) << "nothing was stale";
  }
  RecoveryReport damaged(const SegmentKey& key, std::size_t offset) {
    disk_ = copy_of(original_);
    file(disk_, key).at(offset) ^= std::byte{1};
    auto report = recover(disk_);
    const auto again = recover(disk_);
    EXPECT_EQ(again.blocks, report.blocks);
    EXPECT_EQ(again.segments, report.segments);
    EXPECT_EQ(again.next_sequence, report.next_sequence);
    EXPECT_EQ(again.torn_segments, 0U);
    return report;
  }

  Disk original_;
  Disk disk_;
  RecoveryReport clean_;
  SegmentKey last_;
  SegmentKey before_;
  std::vector<std::size_t> blocks_;
};

TEST_F(RecycledDamage, InTheMiddleIsReportedAndCostsItsBlock) {
  for (const std::size_t offset : {std::size_t{9}, std::size_t{300}}) {
    const auto report = damaged(last_, blocks_[blocks_.size() - 2] + offset);
    EXPECT_EQ(report.blocks, clean_.blocks - 1);
    EXPECT_EQ(report.damaged_regions, 1U);
    EXPECT_EQ(report.torn_segments, 0U);
    EXPECT_EQ(report.next_sequence, clean_.next_sequence);
  }
}

TEST_F(RecycledDamage, OfTheLastBlockIsATornEnd) {
  const auto report = damaged(last_, blocks_.back() + 300);
  EXPECT_EQ(report.blocks, clean_.blocks - 1);
  EXPECT_EQ(report.torn_segments, 1U);
  EXPECT_EQ(report.damaged_regions, 0U);
}

// Without its header it is like anything that is stale.
TEST_F(RecycledDamage, OfTheLastHeaderIsCutToo) {
  const auto report = damaged(last_, blocks_.back() + 9);
  EXPECT_EQ(report.blocks, clean_.blocks - 1);
  EXPECT_EQ(report.damaged_regions, 0U);
  EXPECT_EQ(file(disk_, last_).size() % page_size, 0U);
  EXPECT_LE(file(disk_, last_).size(), align_to_page(blocks_.back()));
}

TEST_F(RecycledDamage, OfTheLastHeaderBeforeAnotherFileIsReported) {
  const auto report = damaged(before_, blocks_of(original_, before_).back() + 9);
  EXPECT_EQ(report.blocks, clean_.blocks - 1);
  EXPECT_EQ(report.damaged_regions, 1U) << "the next file tells that there was more";
  EXPECT_EQ(report.torn_segments, 0U);
}

// A block as a device could write one into its payload: all it has to guess is a number.
std::string forged_block(std::uint64_t tag) {
  flow::BlockHeader header{};
  header.magic = flow::block_magic;
  header.version = flow::block_version;
  header.header_size = sizeof(header);
  header.record_count = 1;
  header.base_sequence = 100'000;
  header.segment_id = tag;
  header.payload_offset = sizeof(header);
  header.attrs_offset = header.records_offset = sizeof(header);
  RecordHeader record{};
  record.version = record_version;
  record.crc = flow::record_crc(record, {}, {});
  header.block_size = sizeof(header) + sizeof(record);
  header.flags = flow::block_has_records_check;
  header.records_check = flow::records_check({&record, 1});
  header.crc = flow::block_header_crc(header);
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) +
         std::string(reinterpret_cast<const char*>(&record), sizeof(record));
}

// Goal: the stale bytes of a file begin within a block, so its payloads lie open; none of them may
// pass for a block. Method: events that hold blocks of the file's next life, as far as its id can
// be known.
TEST(Recycling, AForgedBlockInAnOldPayloadIsNotTaken) {
  const auto fill = [](Disk& disk, std::uint64_t guess) {
    Rig rig(disk, {}, small_files(), 16);
    EXPECT_TRUE(rig.start());
    for (std::size_t i = 0; i < 59; ++i) {
      std::string payload;  // It begins at a multiple of 64.
      while (payload.size() < 7000) payload += forged_block(guess);
      rig.append_all({payload});
      rig.turns(5);
      if (!rig.worker.sequences.empty()) rig.registry.at = rig.worker.sequences.back();
    }
    rig.turns(10);
    EXPECT_EQ(rig.reactor.stored.size(), 59U);
  };
  Disk first;
  fill(first, 0);
  const SegmentKey key = recover(first).segments.back().key;
  ASSERT_TRUE(key.recycled());
  Disk disk;
  fill(disk, key.id);
  const auto last = std::ranges::find_if(disk.cached, [&](const auto& entry) {
    return entry.first.find(segment_name(key.id).substr(0, 20)) != std::string::npos;
  });
  ASSERT_NE(last, disk.cached.end()) << "the guess was wrong";
  {
    TestIo io(disk);
    SegmentReader reader(io);
    ASSERT_TRUE(reader.open(last->first, key.id, UINT64_MAX));
    EXPECT_EQ(reader.next(1), SegmentReader::Step::block) << "nothing forged lies open";
  }
  const auto report = recover(disk);
  EXPECT_EQ(report.next_sequence, 60U);
  EXPECT_EQ(report.damaged_regions + report.torn_segments, 0U);
}

}  // namespace
}  // namespace tocsin::journal
