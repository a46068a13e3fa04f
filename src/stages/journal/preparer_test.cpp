// Goal: a spare file reads as zeros all over and is synced when it is ready, however many of its
// writes are in flight and however they end, and a failure of any of them leaves nothing behind.
#include "stages/journal/preparer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/still_io.hpp"

namespace tocsin::journal {
namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;

// Holds writes until a test ends them, in any order.
class HeldIo final : public testing::StillIo {
 public:
  struct Write {
    std::uint64_t offset;
    std::uint64_t size;
    bool sync;
    io::FileHandler* handler;
  };
  std::vector<Write> held;
  std::set<std::uint64_t> written;  // Offsets of writes that ended well.
  std::size_t removed = 0;
  std::size_t open_files = 0;
  bool renamed = false;
  io::Errno allocate_error = EOPNOTSUPP;
  std::uint64_t allocated = 0;
  std::size_t allocations = 0;
  io::FileHandler* naming = nullptr;

  void write(io::FileId, std::span<const std::byte> bytes, std::uint64_t offset,
             io::FileHandler& handler) override {
    hold(bytes, {offset, bytes.size(), false, &handler});
  }
  void write_and_sync(io::FileId, std::span<const std::byte> bytes, std::uint64_t offset,
                      io::FileHandler& handler) override {
    EXPECT_TRUE(held.empty()) << "a sync covers only writes that have ended";
    hold(bytes, {offset, bytes.size(), true, &handler});
  }
  Result<io::FileId, io::Errno> open(const std::string&, io::OpenMode) override {
    ++open_files;
    written.clear();
    allocated = 0;
    return io::FileId{};
  }
  void close_file(io::FileId) override {
    EXPECT_TRUE(held.empty()) << "writes into a closed file";
    --open_files;
  }
  Result<void, io::Errno> allocate(io::FileId, std::uint64_t size) override {
    ++allocations;
    if (allocate_error != 0) return Unexpected{allocate_error};
    allocated = size;
    return {};
  }
  Result<void, io::Errno> remove(const std::string&) override {
    ++removed;
    return {};
  }
  Result<void, io::Errno> rename(const std::string&, const std::string&) override {
    renamed = true;
    return {};
  }
  void begin_sync_directory(const std::string&, io::FileHandler& handler) override {
    EXPECT_TRUE(renamed);
    naming = &handler;
  }

  void end(std::size_t index, io::Errno error = 0) {
    const Write write = held.at(index);
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(index));
    if (error == 0) {
      EXPECT_TRUE(written.insert(write.offset).second) << "written twice";
    }
    write.handler->on_file_done(error);
  }

 private:
  void hold(std::span<const std::byte> bytes, const Write& write) {
    EXPECT_EQ(bytes[0], std::byte{0});
    EXPECT_EQ(std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1), 0);
    held.push_back(write);
  }
};

class PreparerTest : public ::testing::Test {
 protected:
  // Ends what is held, the newest first or the oldest, until nothing is.
  void end_all(bool newest_first = false) {
    while (!io_.held.empty()) {
      io_.end(newest_first ? io_.held.size() - 1 : 0);
      if (io_.held.empty()) pause();
    }
  }
  // Until the next chunk of a file that nobody waits for.
  void pause() {
    io_.time += std::chrono::milliseconds(4);
    loop_.turn(loop_.now());
  }
  // Names the spare and takes it away, as the journal does.
  void take(std::uint64_t id) {
    ASSERT_TRUE(preparer_.ready());
    preparer_.name({id, id});
    EXPECT_FALSE(preparer_.named() || preparer_.ready() || preparer_.quiet());
    std::exchange(io_.naming, nullptr)->on_file_done(0);
    ASSERT_TRUE(preparer_.named());
    static_cast<void>(preparer_.take());
    io_.open_files = 0;
  }
  void wait_for_retry() {
    io_.time += std::chrono::seconds(10);
    loop_.turn(loop_.now());
  }

  static constexpr Options options{.segment_size = 3 * mebibyte + 4096};
  static constexpr std::size_t chunks = 13;  // Of 256 KiB; the last is shorter.
  HeldIo io_;
  flow::Loop loop_{io_, "test"};
  SegmentPreparer preparer_{loop_, "data", options};
};

TEST_F(PreparerTest, WritesOneAtATimeWithPauses) {
  preparer_.start();
  for (std::size_t i = 0; i < chunks; ++i) {
    ASSERT_EQ(io_.held.size(), 1U);
    EXPECT_FALSE(preparer_.ready());
    io_.end(0);
    EXPECT_TRUE(io_.held.empty()) << "commits have the disk";
    EXPECT_TRUE(preparer_.quiet());
    pause();
  }
  EXPECT_TRUE(io_.held.empty());
  EXPECT_TRUE(preparer_.ready());
  EXPECT_EQ(io_.written.size(), chunks);
  EXPECT_EQ(io_.allocations, 0U);
}

// Goal: who waits for the file gets it after one short write, whatever was written before.
TEST_F(PreparerTest, AllocatesWhatIsLeftInAHurry) {
  io_.allocate_error = 0;
  for (std::size_t before = 0; before <= chunks; ++before) {
    SCOPED_TRACE(before);
    for (const bool in_flight : {false, true}) {
      if (before == chunks && in_flight) continue;
      if (before == 0 && !in_flight) preparer_.hurry();
      preparer_.start();
      for (std::size_t i = 0; i < before; ++i) {
        io_.end(0);
        if (i + 1 < before || in_flight) pause();
      }
      preparer_.hurry();
      const std::size_t begun = before + (in_flight ? 1 : 0);
      const bool all_begun = begun == chunks;
      // The last chunk is the last page.
      EXPECT_EQ(io_.allocated, begun + 1 >= chunks ? 0 : options.segment_size);
      if (in_flight) {
        ASSERT_EQ(io_.held.size(), 1U) << "the sync waits for what is in flight";
        io_.end(0);
      }
      if (!all_begun) {
        ASSERT_EQ(io_.held.size(), 1U);
        EXPECT_EQ(io_.held[0].offset, options.segment_size - page_size);
        EXPECT_TRUE(io_.held[0].sync);
        EXPECT_FALSE(preparer_.ready());
        io_.end(0);
      }
      pause();
      EXPECT_TRUE(io_.held.empty());
      take(before + 1);
    }
  }
}

// Goal: the last page may fail still; the next try allocates again.
TEST_F(PreparerTest, AFailureAfterAllocatingFailsTheFile) {
  io_.allocate_error = 0;
  preparer_.hurry();
  preparer_.start();
  io_.end(0, ENOSPC);
  EXPECT_TRUE(preparer_.failed());
  EXPECT_EQ(preparer_.last_error(), ENOSPC);
  EXPECT_EQ(io_.open_files, 0U);
  wait_for_retry();
  EXPECT_EQ(io_.allocated, options.segment_size);
  end_all();
  take(1);
}

TEST_F(PreparerTest, StopsBetweenTwoWrites) {
  SegmentPreparer preparer(loop_, "data", options);
  preparer.start();
  io_.end(0);
  preparer.stop();
  EXPECT_TRUE(preparer.quiet());
  pause();
  preparer.hurry();
  EXPECT_TRUE(io_.held.empty());
  EXPECT_FALSE(preparer.ready());
}

TEST_F(PreparerTest, WritesInAHurryWhereNothingCanBeAllocated) {
  preparer_.start();
  ASSERT_EQ(io_.held.size(), 1U);
  io_.end(0);
  preparer_.hurry();
  EXPECT_EQ(io_.held.size(), 8U);
  preparer_.hurry();
  EXPECT_EQ(io_.held.size(), 8U) << "no more for asking twice";
  EXPECT_EQ(io_.allocations, 1U);
  io_.end(3);
  EXPECT_EQ(io_.held.size(), 8U);
  end_all();
  EXPECT_TRUE(preparer_.ready());
  EXPECT_EQ(io_.written.size(), chunks);
}

TEST_F(PreparerTest, IsCompleteInWhateverOrderWritesEnd) {
  for (const bool newest_first : {false, true}) {
    preparer_.hurry();
    preparer_.start();
    EXPECT_EQ(io_.held.size(), 8U);
    while (io_.held.size() > 1) {
      io_.end(newest_first ? io_.held.size() - 1 : 0);
      EXPECT_FALSE(preparer_.ready());
      EXPECT_FALSE(preparer_.quiet());
    }
    end_all();
    ASSERT_TRUE(preparer_.ready());
    EXPECT_TRUE(preparer_.quiet());
    ASSERT_EQ(io_.written.size(), chunks);
    std::uint64_t expected = 0;
    for (const std::uint64_t offset : io_.written) {
      EXPECT_EQ(offset, expected);
      expected += 256 * 1024;
    }
    EXPECT_EQ(preparer_.failures(), 0U);
    take(1);
  }
}

TEST_F(PreparerTest, HurriesForOneFileOnly) {
  preparer_.hurry();
  preparer_.start();
  end_all();
  take(1);
  preparer_.start();
  EXPECT_EQ(io_.held.size(), 1U);
  end_all();
  preparer_.hurry();
  EXPECT_TRUE(io_.held.empty()) << "ready is ready";
  take(2);
  preparer_.start();
  EXPECT_EQ(io_.held.size(), 1U) << "that was meant for the one before";
  end_all();
}

// Method: each write of the file fails in turn, alone, while the others in flight end well.
TEST_F(PreparerTest, AFailedWriteFailsTheFileOnceAllHaveEnded) {
  for (std::size_t failing = 0; failing < chunks; ++failing) {
    SCOPED_TRACE(failing);
    const std::uint64_t failures = preparer_.failures();
    preparer_.hurry();
    preparer_.start();
    if (io_.held.empty()) wait_for_retry();
    const std::uint64_t offset = failing * 256 * 1024;
    for (;;) {
      ASSERT_FALSE(io_.held.empty());
      const auto found = std::ranges::find(io_.held, offset, &HeldIo::Write::offset);
      if (found != io_.held.end()) {
        const std::size_t before = io_.held.size();
        io_.end(static_cast<std::size_t>(found - io_.held.begin()), ENOSPC);
        EXPECT_EQ(io_.held.size(), before - 1) << "nothing is begun any more";
        break;
      }
      io_.end(0);
    }
    const std::size_t left = io_.held.size();
    EXPECT_EQ(preparer_.failed(), left == 0);
    preparer_.hurry();
    EXPECT_EQ(io_.held.size(), left) << "for no hurry either";
    while (!io_.held.empty()) {
      EXPECT_FALSE(preparer_.failed()) << "the file is still in use";
      // A second error is not a second failure.
      const std::size_t before = io_.held.size();
      io_.end(before - 1, before % 2 == 0 ? EIO : 0);
      EXPECT_EQ(io_.held.size(), before - 1);
    }
    EXPECT_TRUE(preparer_.failed());
    EXPECT_TRUE(preparer_.quiet());
    EXPECT_EQ(preparer_.last_error(), ENOSPC) << "the first one";
    EXPECT_EQ(preparer_.failures(), failures + 1);
    EXPECT_EQ(io_.open_files, 0U);
    EXPECT_FALSE(preparer_.ready());
    wait_for_retry();
    EXPECT_FALSE(io_.held.empty()) << "it tries again by itself";
    EXPECT_EQ(io_.held.size(), 8U) << "still in a hurry";
    end_all();
    ASSERT_TRUE(preparer_.ready());
    ASSERT_EQ(io_.written.size(), chunks);
    take(failing + 1);
  }
}

TEST_F(PreparerTest, StopsWithWritesInFlight) {
  for (const io::Errno error : {0, EIO}) {
    SegmentPreparer preparer(loop_, "data", options);
    preparer.hurry();
    preparer.start();
    io_.end(0);
    ASSERT_EQ(io_.held.size(), 8U);
    preparer.stop();
    preparer.hurry();
    for (std::size_t left = 8; left > 0; --left) {
      EXPECT_FALSE(preparer.quiet()) << "what is in flight must end";
      ASSERT_EQ(io_.held.size(), left) << "nothing new";
      io_.end(0, left == 5 ? error : 0);
    }
    EXPECT_TRUE(preparer.quiet());
    EXPECT_FALSE(preparer.ready());
    preparer.start();
    wait_for_retry();
    EXPECT_TRUE(io_.held.empty());
  }
  EXPECT_EQ(io_.open_files, 0U);
}

TEST_F(PreparerTest, StopsDuringTheLastWrite) {
  preparer_.start();
  while (!io_.held.front().sync) {
    io_.end(0);
    pause();
  }
  preparer_.stop();
  EXPECT_FALSE(preparer_.quiet());
  io_.end(0);
  EXPECT_TRUE(preparer_.quiet());
}

TEST_F(PreparerTest, AFailedNameFailsTheFile) {
  preparer_.start();
  end_all();
  preparer_.name({7, 7});
  preparer_.start();
  EXPECT_TRUE(io_.held.empty()) << "one at a time";
  const std::size_t removed = io_.removed;
  std::exchange(io_.naming, nullptr)->on_file_done(EIO);
  EXPECT_TRUE(preparer_.failed());
  EXPECT_EQ(preparer_.last_error(), EIO);
  EXPECT_GT(io_.removed, removed) << "under either name";
  EXPECT_EQ(io_.open_files, 0U);
  wait_for_retry();
  end_all();
  take(8);
}

// Goal: a file that served before is taken as it is, once it has the size that is wanted.
TEST_F(PreparerTest, AdoptsAFileOfTheRightSizeWithoutWriting) {
  EXPECT_FALSE(preparer_.adopt("data/old", mebibyte));
  EXPECT_FALSE(io_.renamed);
  preparer_.start();
  EXPECT_FALSE(preparer_.adopt("data/old", options.segment_size)) << "one is on its way";
  end_all();
  EXPECT_FALSE(preparer_.adopted());
  take(1);
  ASSERT_TRUE(preparer_.adopt("data/old", options.segment_size));
  EXPECT_TRUE(preparer_.ready());
  EXPECT_TRUE(preparer_.adopted());
  preparer_.start();
  preparer_.hurry();
  EXPECT_TRUE(io_.held.empty());
  take(2);
  EXPECT_FALSE(preparer_.adopted());
  preparer_.start();
  end_all();
  EXPECT_FALSE(preparer_.adopted()) << "a new one";
}

}  // namespace
}  // namespace tocsin::journal
