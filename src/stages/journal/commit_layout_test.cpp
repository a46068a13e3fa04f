// Goal: the pieces of a commit hold every block whole, in order, where a reader looks for it.
#include "stages/journal/commit_layout.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace tocsin::journal {
namespace {

struct Blocks {
  struct Block {
    std::size_t size;
    AlignedBuffer padded;
  };
  std::deque<Block> all;

  void add(CommitLayout& layout, std::size_t size) {
    Block& block = all.emplace_back(Block{size, AlignedBuffer(align_to_page(size))});
    for (std::size_t i = 0; i < block.padded.size(); ++i) {
      block.padded.data()[i] = i < size ? static_cast<std::byte>(all.size()) : std::byte{0};
    }
    layout.add(block.padded.span(), size);
  }
};

std::vector<std::byte> joined(const CommitLayout& layout) {
  std::vector<std::byte> bytes;
  for (const io::Piece& piece : layout.pieces()) {
    EXPECT_EQ(piece.size % page_size, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece.data) % page_size, 0U) << "for direct writes";
    bytes.insert(bytes.end(), piece.data, piece.data + piece.size);
  }
  EXPECT_EQ(bytes.size(), layout.bytes());
  return bytes;
}

// A small block behind a small one at the next multiple of 64, any other at the next page.
void expect_blocks(const CommitLayout& layout, const Blocks& blocks) {
  const auto bytes = joined(layout);
  std::size_t at = 0;
  std::size_t padded = 0;
  int value = 0;
  for (const auto& block : blocks.all) {
    ++value;
    padded += align_to_page(block.size);
    at = align_to_block(at);
    if (bytes.at(at) != static_cast<std::byte>(value)) at = align_to_page(at);
    for (std::size_t i = 0; i < block.size; ++i) {
      ASSERT_EQ(bytes.at(at + i), static_cast<std::byte>(value)) << value << ' ' << i;
    }
    at += block.size;
    for (std::size_t i = at; i < align_to_block(at); ++i) ASSERT_EQ(bytes.at(i), std::byte{0});
  }
  for (; at < bytes.size(); ++at) ASSERT_EQ(bytes[at], std::byte{0});
  EXPECT_LE(bytes.size(), padded) << "more than was reserved";
}

TEST(CommitLayout, SmallBlocksShareAPage) {
  CommitLayout layout(8, 8 * page_size);
  Blocks blocks;
  for (const std::size_t size : {200U, 64U, 1000U, 129U}) blocks.add(layout, size);
  layout.finish();
  EXPECT_EQ(layout.bytes(), page_size);
  EXPECT_EQ(layout.pieces().size(), 1U);
  expect_blocks(layout, blocks);
}

TEST(CommitLayout, LargeBlocksStayWhereTheyAre) {
  CommitLayout layout(8, 8 * page_size);
  Blocks blocks;
  for (const std::size_t size : {300U, 20'000U, 16'384U, 500U, 700U, 90'000U}) {
    blocks.add(layout, size);
  }
  layout.finish();
  ASSERT_EQ(layout.pieces().size(), 5U);
  EXPECT_EQ(layout.pieces()[1].data, blocks.all[1].padded.data());
  EXPECT_EQ(layout.pieces()[2].data, blocks.all[2].padded.data());
  EXPECT_EQ(layout.pieces()[4].data, blocks.all[5].padded.data());
  expect_blocks(layout, blocks);
}

// Also: the same object serves one commit after the other.
TEST(CommitLayout, WhatFindsNoRoomIsWrittenFromWhereItIs) {
  CommitLayout layout(200, 32 * page_size);
  for (int round = 0; round < 2; ++round) {
    layout.clear();
    Blocks blocks;
    for (int i = 0; i < 100; ++i) blocks.add(layout, 2000);
    layout.finish();
    EXPECT_GT(layout.pieces().size(), 30U) << "all found room: the test shows nothing";
    expect_blocks(layout, blocks);
  }
}

}  // namespace
}  // namespace tocsin::journal
