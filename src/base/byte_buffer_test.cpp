// Goal: a buffer holds what a queue of bytes would, and its budget what its buffers hold.
#include "base/byte_buffer.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include <tocsin/limits.hpp>

namespace tocsin {
namespace {

// Method: random appends and removals at both ends, held against a std::string.
TEST(ByteBuffer, HoldsWhatAStringWould) {
  std::mt19937 random(7);
  ByteBudget budget(1 << 20);
  {
    ByteBuffer buffer(&budget, 2048);
    std::string wanted;
    for (int step = 0; step < 5000; ++step) {
      const std::string added(random() % 700, static_cast<char>('a' + step % 26));
      ASSERT_TRUE(buffer.append(added));
      wanted += added;
      const std::size_t front = wanted.empty() ? 0 : random() % (wanted.size() + 1);
      buffer.consume(front);
      wanted.erase(0, front);
      if (step % 7 == 0) {
        wanted.resize(wanted.size() / 2);
        buffer.truncate(wanted.size());
      }
      ASSERT_EQ(buffer.view(), wanted);
      ASSERT_EQ(budget.used(), buffer.capacity() == 0 ? 0 : buffer.capacity() + json_padding);
    }
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(ByteBuffer, RefusedGrowthChangesNothing) {
  ByteBudget budget(256 + json_padding + 100);
  ByteBuffer buffer(&budget);
  ASSERT_TRUE(buffer.append(std::string(256, 'a')));
  ASSERT_TRUE(buffer.append(std::string(100, 'b'))) << "no room to double, but for what is needed";
  EXPECT_EQ(budget.used(), budget.max());
  EXPECT_FALSE(buffer.append("c"));
  EXPECT_TRUE(buffer.tail(1).empty());
  EXPECT_EQ(buffer.view(), std::string(256, 'a') + std::string(100, 'b'));
}

// Goal: what waits after most of it was consumed holds memory for itself only.
TEST(ByteBuffer, ShrinksToWhatIsLeft) {
  ByteBudget budget(1'000'000);
  ByteBuffer buffer(&budget, 2048);
  std::string text(100'000, 'x');
  text += "the rest";
  ASSERT_TRUE(buffer.append(text));
  buffer.consume(10'000);
  const std::size_t before = budget.used();
  buffer.shrink();
  EXPECT_EQ(before, budget.used()) << "more than half is in use";
  buffer.consume(90'000);
  buffer.shrink();
  EXPECT_EQ("the rest", buffer.view());
  EXPECT_EQ(buffer.capacity() + json_padding, budget.used());
  EXPECT_EQ(8U, buffer.capacity());
  ASSERT_TRUE(buffer.append(" and more"));
  EXPECT_EQ("the rest and more", buffer.view());
  buffer.release();
  EXPECT_EQ(0U, budget.used());
}

TEST(ByteBuffer, EmptiedKeepsOnlyALittle) {
  ByteBudget budget(1 << 20);
  ByteBuffer buffer(&budget, 512);
  ASSERT_TRUE(buffer.append(std::string(500, 'a')));
  buffer.clear();
  EXPECT_EQ(buffer.capacity(), 500U);
  ASSERT_TRUE(buffer.append(std::string(600, 'a')));
  buffer.consume(599);
  EXPECT_GT(buffer.capacity(), 0U);
  buffer.consume(1);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(ByteBuffer, TailBecomesContentWhenCommitted) {
  ByteBuffer buffer;
  const auto room = buffer.tail(3);
  ASSERT_EQ(room.size(), 3U);
  room[0] = 'x';
  EXPECT_TRUE(buffer.empty());
  buffer.commit(1);
  buffer.mutable_view()[0] = 'y';
  ByteBuffer other;
  other.swap(buffer);
  EXPECT_EQ(other.view(), "y");
  EXPECT_TRUE(buffer.empty());
}

}  // namespace
}  // namespace tocsin
