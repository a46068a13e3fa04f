// Goal: a start finds every intact block of whatever is on the disk, and says what it did not find.
#include "stages/journal/recovery.hpp"

#include <gtest/gtest.h>

#include "flow/block.hpp"
#include "stages/journal/segment_reader.hpp"
#include "stages/journal/test_rig.hpp"

namespace tocsin::journal {
namespace {

using test::copy_of;
using test::Disk;
using test::Inode;
using test::recover;
using test::Rig;
using test::TestIo;

constexpr const char* first_file = "data/journal/00000000000000000001.seg";

std::span<const std::byte> as_bytes(const flow::BlockHeader& header) {
  return std::as_bytes(std::span{&header, 1});
}

test::Bytes& file(Disk& disk, const char* path = first_file) {
  return disk.cached.at(path)->cached;
}

/// One file with three blocks of two events each: at 0, 4096 and 8192.
Disk three_blocks() {
  Disk disk;
  Rig rig(disk);
  EXPECT_TRUE(rig.start());
  for (int i = 0; i < 6; i += 2) {
    rig.append(i, 2, Level::stored, 100);
    rig.turns(10);
  }
  EXPECT_TRUE(rig.close());
  EXPECT_EQ(file(disk).size(), 3 * 4096U);
  return disk;
}

const flow::BlockHeader& header_at(Disk& disk, std::size_t offset) {
  return *reinterpret_cast<const flow::BlockHeader*>(file(disk).data() + offset);
}

struct Placed {
  std::size_t begin;
  std::size_t size;
};

std::vector<Placed> blocks_of(Disk& disk) {
  TestIo io(disk);
  SegmentReader reader(io);
  EXPECT_TRUE(reader.open(first_file, 1, UINT64_MAX));
  std::vector<Placed> blocks;
  while (reader.next(1) == SegmentReader::Step::block) {
    const std::size_t size = reader.block().header().block_size;
    blocks.push_back({static_cast<std::size_t>(reader.block_end()) - align_to_block(size), size});
  }
  return blocks;
}

// Cuts a file of blocks of two events at each byte; then the same with the rest zeroed, as
// preallocation leaves it.
void expect_a_clean_end_at_every_cut(Disk original) {
  const auto blocks = blocks_of(original);
  for (std::size_t cut = 0; cut <= file(original).size(); ++cut) {
    for (const bool zero_filled : {false, true}) {
      Disk disk = copy_of(original);
      file(disk).resize(cut);
      if (zero_filled) file(disk).resize(16 * 1024);
      std::size_t whole = 0;
      while (whole < blocks.size() && cut >= blocks[whole].begin + blocks[whole].size) ++whole;
      const auto report = recover(disk);
      ASSERT_EQ(report.blocks, whole) << cut;
      ASSERT_EQ(report.events, 2 * whole) << cut;
      ASSERT_EQ(report.next_sequence, 2 * whole + 1) << cut;
      ASSERT_EQ(report.damaged_regions, 0U) << cut;
      const auto again = recover(disk);
      ASSERT_EQ(again.torn_bytes, 0U) << cut << ": the end is clean the second time";
      ASSERT_EQ(again.blocks, report.blocks);
      ASSERT_EQ(again.events, report.events);
      ASSERT_EQ(again.next_sequence, report.next_sequence);
      ASSERT_EQ(again.segments, report.segments);
    }
  }
}

// Padding and the newlines between payloads.
bool carries_nothing(Disk& disk, std::size_t block, std::size_t at) {
  const flow::BlockHeader& header = header_at(disk, block);
  const bool newline = at >= header.payload_offset &&
                       at < header.payload_offset + header.payload_size &&
                       file(disk)[block + at] == std::byte{'\n'};
  return newline || (at >= header.attrs_offset + header.attrs_size && at < header.records_offset);
}

// Flips each bit of a file of blocks of two events in turn. Only the block that was hit is missing;
// a hit in the last is taken for a torn end.
void expect_each_flip_to_cost_its_block(Disk original) {
  const auto blocks = blocks_of(original);
  const std::size_t count = blocks.size();
  const auto& before_last = blocks[count - 2];
  const std::size_t cut_size = align_to_page(before_last.begin + before_last.size);
  for (std::size_t block = 0; block < count; ++block) {
    const bool last = block + 1 == count;
    for (std::size_t bit = 0; bit < blocks[block].size * 8; ++bit) {
      const std::size_t at = bit / 8;
      if (carries_nothing(original, blocks[block].begin, at)) continue;
      Disk disk = copy_of(original);
      file(disk)[blocks[block].begin + at] ^= static_cast<std::byte>(1U << (bit % 8));
      const auto report = recover(disk);
      ASSERT_EQ(report.blocks, count - 1) << "block " << block << " bit " << bit;
      ASSERT_EQ(report.damaged_regions, last ? 0U : 1U) << block << ' ' << bit;
      ASSERT_EQ(report.torn_segments, last ? 1U : 0U) << block << ' ' << bit;
      ASSERT_EQ(report.next_sequence, last ? 2 * count - 1 : 2 * count + 1);
      ASSERT_EQ(file(disk).size(), last ? cut_size : file(original).size()) << "damage is kept";
      if (!last) continue;
      ASSERT_EQ(recover(disk).torn_bytes, 0U) << "and a torn end is not";
    }
  }
}

TEST(Recovery, ATornEndIsCutAtEveryByte) {
  Disk original = three_blocks();
  ASSERT_EQ(file(original).size(), 3 * 4096U);
  ASSERT_EQ(blocks_of(original).size(), 3U);
  expect_a_clean_end_at_every_cut(original);
}

TEST(Recovery, EveryFlippedBitIsDetectedAndIsolated) {
  expect_each_flip_to_cost_its_block(three_blocks());
}

/// Two commits: five blocks of two events in the first page or two, three in the next.
Disk shared_pages() {
  Disk disk;
  Options options = Rig::small_options();
  options.segment_size = 64 * 1024;
  Rig rig(disk, {}, options);
  EXPECT_TRUE(rig.start());
  rig.turns(20);
  for (int i = 0; i < 16; i += 2) {
    rig.append(i, 2, Level::stored, i == 2 ? 0 : 100);
    if (i == 8) rig.turns(10);
  }
  rig.turns(10);
  EXPECT_TRUE(rig.close());
  EXPECT_EQ(file(disk).size(), 2 * 4096U);
  return disk;
}

TEST(Recovery, SmallBlocksOfACommitShareAPage) {
  Disk disk = shared_pages();
  const auto blocks = blocks_of(disk);
  ASSERT_EQ(blocks.size(), 8U);
  for (std::size_t i = 1; i < 8; ++i) {
    const auto& before = blocks[i - 1];
    EXPECT_EQ(blocks[i].begin, i == 5 ? 4096 : before.begin + align_to_block(before.size));
  }
  const auto report = recover(disk);
  EXPECT_EQ(report.blocks, 8U);
  EXPECT_EQ(report.damaged_regions + report.torn_segments, 0U);
}

// Goal: what is cut may share its page with a good block.
TEST(Recovery, ATornEndWithinASharedPageIsCutAtEveryByte) {
  expect_a_clean_end_at_every_cut(shared_pages());
}

// Goal: a damaged header tells no size, and still costs no neighbour.
TEST(Recovery, EveryFlippedBitOfASharedPageCostsItsBlockOnly) {
  expect_each_flip_to_cost_its_block(shared_pages());
}

// Goal: what a device put into a payload is no block, as long as the header around it is intact.
// Method: a payload that holds a whole block of this segment at every offset in turn; then the
// outer block loses a record, and its header.
TEST(Recovery, ABlockInsideAPayloadIsNeverTaken) {
  Disk inner = three_blocks();
  const flow::BlockHeader header = header_at(inner, 4096);
  const std::string forged(reinterpret_cast<const char*>(file(inner).data()) + 4096,
                           header.block_size);
  for (std::size_t shift = 0; shift < 64; ++shift) {
    Disk disk;
    {
      Rig rig(disk);
      ASSERT_TRUE(rig.start());
      rig.append_all({std::string(shift, ' ') + forged});
      rig.turns(10);
      rig.append(0);
      rig.turns(10);
      ASSERT_TRUE(rig.close());
    }
    const flow::BlockHeader outer = header_at(disk, 0);
    Disk damaged = copy_of(disk);
    file(damaged)[outer.records_offset + 8] ^= std::byte{1};
    const auto report = recover(damaged);
    ASSERT_EQ(report.blocks, 1U) << shift;
    ASSERT_EQ(report.events, 1U) << shift;
    ASSERT_EQ(report.damaged_regions, 1U) << shift;
  }
}

TEST(Recovery, EventsAroundADamagedBlockReachTheWorkers) {
  Disk disk = three_blocks();
  file(disk)[4096 + 300] ^= std::byte{1};
  Rig rig(disk);
  const auto report = rig.start();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->damaged_bytes, 4096U);
  rig.turns(20);
  EXPECT_EQ(rig.worker.sequences, (std::vector<std::uint64_t>{1, 2, 5, 6}));
  EXPECT_TRUE(rig.close());
}

TEST(Recovery, BlocksOfAnotherSegmentAreStale) {
  Disk original = three_blocks();
  Disk disk;
  disk.cached["data/journal/00000000000000000003.seg"] =
      std::make_shared<Inode>(*original.cached.at(first_file));
  const auto report = recover(disk);
  EXPECT_EQ(report.blocks, 0U);
  EXPECT_EQ(report.next_sequence, 3U);
}

// A block of version 2 as its CRC rule promises it, and the same with a wrong CRC.
TEST(Recovery, ANewerVersionRefusesAndDamageThatLooksLikeOneDoesNot) {
  for (const bool intact : {true, false}) {
    Disk disk = three_blocks();
    flow::BlockHeader header = header_at(disk, 4096);
    header.version = flow::block_version + 1;
    if (intact) header.crc = flow::block_header_crc(header);
    Disk::apply(file(disk), 4096, as_bytes(header));
    file(disk).resize(3 * 4096 + 5, std::byte{1});
    const auto before = file(disk);
    TestIo io(disk);
    const auto report = recover_segments(io, "data/journal", make_null_log());
    EXPECT_EQ(report.has_value(), !intact);
    if (intact) {
      EXPECT_NE(report.error().find("newer"), std::string::npos) << report.error();
      EXPECT_EQ(file(disk), before) << "nothing may be cut";
    }
  }
}

TEST(Recovery, OtherFilesAreLeftAlone) {
  Disk disk = three_blocks();
  disk.cached["data/journal/notes.txt"] = std::make_shared<Inode>();
  disk.cached["data/journal/99999999999999999999.seg"] = std::make_shared<Inode>();
  EXPECT_EQ(recover(disk).segments.size(), 1U);
  EXPECT_TRUE(disk.cached.contains("data/journal/notes.txt"));
}

// A crash while the next file is already open: the torn end is in the one before.
TEST(Recovery, ATornEndBeforeAnEmptyFileIsCutToo) {
  Disk disk = three_blocks();
  file(disk)[8192 + 300] ^= std::byte{1};
  auto& empty = disk.cached["data/journal/00000000000000000007.seg"];
  empty = std::make_shared<Inode>();
  empty->cached.resize(16 * 1024);
  const auto report = recover(disk);
  EXPECT_EQ(report.torn_segments, 1U);
  EXPECT_EQ(report.next_sequence, 7U);
  EXPECT_EQ(file(disk).size(), 2 * 4096U);
}

}  // namespace
}  // namespace tocsin::journal
