// The contract of files, clocks and the wait.

#include <array>
#include <atomic>
#include <cerrno>
#include <thread>

#include "tests/contract/io_contract.hpp"

namespace tocsin::io::contract {
namespace {

using Names = std::vector<std::string>;

std::string read_all(Io& io, FileId file) {
  const auto size = io.size(file);
  EXPECT_TRUE(size);
  std::string text(static_cast<std::size_t>(*size), '\0');
  const auto n = io.read(file, std::as_writable_bytes(std::span{text}), 0);
  EXPECT_TRUE(n);
  EXPECT_EQ(*n, text.size());
  return text;
}

}  // namespace

// Goal: what write() reports done can be read back, at any offset and size, out of order.
TEST_P(IoContract, WritesAndReads) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const auto file = io_->open(directory + "/data", OpenMode::create_new);
  ASSERT_TRUE(file);
  const std::string text = pattern(3U << 20U);
  const std::string_view view = text;
  std::array<FileDone, 3> done;
  constexpr std::size_t cut = 1'000'003;
  io_->write(*file, bytes_of(view.substr(cut)), cut, done[0]);
  io_->write_and_sync(*file, bytes_of(view.substr(0, cut)), 0, done[1]);
  io_->write(*file, {}, 0, done[2]);
  EXPECT_EQ(done[0].count + done[1].count + done[2].count, 0) << "not before poll()";
  ASSERT_TRUE(run_until([&] { return done[0].count + done[1].count + done[2].count == 3; }));
  for (const FileDone& one : done) EXPECT_EQ(one.error, 0);
  EXPECT_TRUE(read_all(*io_, *file) == text);
  std::array<std::byte, 64> tail{};
  const auto n = io_->read(*file, tail, text.size() - 10);
  ASSERT_TRUE(n);
  EXPECT_EQ(*n, 10U) << "short at the end of the file";
  io_->close_file(*file);
}

// Goal: many writes with sync in flight at once all complete, also more than any queue holds.
TEST_P(IoContract, OverlapsManyWrites) {
  constexpr std::size_t count = 6000;
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const auto file = io_->open(directory + "/data", OpenMode::create_new);
  ASSERT_TRUE(file);
  const std::string text = pattern(count * 8);
  std::vector<FileDone> done(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto part = bytes_of(text).subspan(i * 8, 8);
    if (i % 100 == 0) {
      io_->write_and_sync(*file, part, i * 8, done[i]);
    } else {
      io_->write(*file, part, i * 8, done[i]);
    }
  }
  ASSERT_TRUE(run_until([&] {
    return std::all_of(done.begin(), done.end(), [](const FileDone& d) { return d.count == 1; });
  }));
  for (const FileDone& one : done) ASSERT_EQ(one.error, 0);
  EXPECT_TRUE(read_all(*io_, *file) == text);
  io_->close_file(*file);
}

// Goal: pieces of any size and number stand one behind the other, more of them than one system call
// takes, and the others' writes around them stay.
TEST_P(IoContract, GathersPieces) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const auto file = io_->open(directory + "/data", OpenMode::create_new);
  ASSERT_TRUE(file);
  const std::string text = pattern(3U << 20U);
  std::vector<Piece> pieces;
  for (std::size_t at = 100; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(pieces.size() * 37 % 2000, text.size() - at);
    pieces.push_back({bytes_of(text).data() + at, size});
    at += size;
  }
  ASSERT_GT(pieces.size(), 2048U);
  std::array<FileDone, 3> done;
  io_->write(*file, bytes_of(text).first(100), 0, done[0]);
  io_->gather_and_sync(*file, pieces, 100, done[1]);
  io_->gather_and_sync(*file, std::span(pieces).first(1), 0, done[2]);
  ASSERT_EQ(pieces[0].size, 0U);
  EXPECT_EQ(done[0].count + done[1].count + done[2].count, 0) << "not before poll()";
  ASSERT_TRUE(run_until([&] { return done[0].count + done[1].count + done[2].count == 3; }));
  for (const FileDone& one : done) EXPECT_EQ(one.error, 0);
  EXPECT_TRUE(read_all(*io_, *file) == text);
  io_->close_file(*file);
}

// Goal: a directory's sync is answered, as is that of one that is not there.
TEST_P(IoContract, SyncsDirectoriesAside) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  std::array<FileDone, 2> done;
  io_->begin_sync_directory(directory, done[0]);
  io_->begin_sync_directory(directory + "/none", done[1]);
  EXPECT_EQ(done[0].count + done[1].count, 0) << "not before poll()";
  ASSERT_TRUE(run_until([&] { return done[0].count + done[1].count == 2; }));
  EXPECT_EQ(done[0].error, 0);
  EXPECT_EQ(done[1].error, ENOENT);
}

// Goal: a write that cannot be done reports an error, with and without sync.
TEST_P(IoContract, ReportsAFailedWrite) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  io_->close_file(*io_->open(directory + "/data", OpenMode::create_new));
  const auto file = io_->open(directory + "/data", OpenMode::read);
  ASSERT_TRUE(file);
  FileDone plain;
  FileDone synced;
  io_->write(*file, bytes_of("x"), 0, plain);
  io_->write_and_sync(*file, bytes_of("x"), 0, synced);
  FileDone gathered;
  const std::array<Piece, 2> pieces{Piece{bytes_of("x").data(), 1}, Piece{bytes_of("y").data(), 1}};
  io_->gather_and_sync(*file, pieces, 0, gathered);
  ASSERT_TRUE(run_until([&] { return plain.count + synced.count + gathered.count == 3; }));
  EXPECT_EQ(plain.error, EBADF);
  EXPECT_EQ(gathered.error, EBADF);
  EXPECT_EQ(synced.error, EBADF);
  io_->close_file(*file);
}

// Goal: each way of opening keeps its promise.
TEST_P(IoContract, OpensByMode) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const std::string path = directory + "/data";
  EXPECT_EQ(io_->open(path, OpenMode::read).error(), ENOENT);
  EXPECT_EQ(io_->open(path, OpenMode::write_existing).error(), ENOENT);
  const auto created = io_->open(path, OpenMode::create_new);
  ASSERT_TRUE(created);
  EXPECT_EQ(io_->open(path, OpenMode::create_new).error(), EEXIST);
  FileDone done;
  io_->write(*created, bytes_of("kept"), 0, done);
  ASSERT_TRUE(run_until([&] { return done.count == 1; }));
  io_->close_file(*created);
  for (const OpenMode mode : {OpenMode::read, OpenMode::write_existing, OpenMode::create_or_open}) {
    const auto file = io_->open(path, mode);
    ASSERT_TRUE(file);
    EXPECT_EQ(read_all(*io_, *file), "kept");
    io_->close_file(*file);
  }
}

// Goal: truncate shortens, and extends with zeros.
TEST_P(IoContract, Truncates) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const auto file = io_->open(directory + "/data", OpenMode::create_or_open);
  ASSERT_TRUE(file);
  FileDone done;
  io_->write(*file, bytes_of("0123456789"), 0, done);
  ASSERT_TRUE(run_until([&] { return done.count == 1; }));
  ASSERT_TRUE(io_->truncate(*file, 4));
  EXPECT_EQ(read_all(*io_, *file), "0123");
  ASSERT_TRUE(io_->truncate(*file, 6));
  ASSERT_TRUE(io_->sync(*file));
  EXPECT_EQ(read_all(*io_, *file), std::string("0123\0\0", 6));
  io_->close_file(*file);
}

// Goal: space is added behind what a file holds, reads as zeros, and takes writes; a file system
// that has none to give says so.
TEST_P(IoContract, Allocates) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const auto file = io_->open(directory + "/data", OpenMode::create_new);
  ASSERT_TRUE(file);
  FileDone done;
  io_->write(*file, bytes_of("abc"), 0, done);
  ASSERT_TRUE(run_until([&] { return done.count == 1; }));
  const auto allocated = io_->allocate(*file, 8192);
  if (!allocated) {
    EXPECT_EQ(allocated.error(), EOPNOTSUPP);
    EXPECT_EQ(*io_->size(*file), 3U);
    return;
  }
  ASSERT_TRUE(io_->allocate(*file, 4096)) << "never shortens";
  EXPECT_EQ(*io_->size(*file), 8192U);
  std::string expected(8192, '\0');
  expected.replace(0, 3, "abc");
  EXPECT_TRUE(read_all(*io_, *file) == expected);
  io_->write_and_sync(*file, bytes_of("xyz"), 5000, done);
  ASSERT_TRUE(run_until([&] { return done.count == 2; }));
  EXPECT_EQ(done.error, 0);
  expected.replace(5000, 3, "xyz");
  EXPECT_TRUE(read_all(*io_, *file) == expected);
  io_->close_file(*file);
}

// Goal: directories list what they hold, sorted; rename replaces; remove removes.
TEST_P(IoContract, ListsRenamesAndRemoves) {
  const std::string directory = GetParam().directory() + "/a/b";
  EXPECT_FALSE(io_->list(directory));
  ASSERT_TRUE(io_->make_directories(directory));
  ASSERT_TRUE(io_->make_directories(directory)) << "existing already is fine";
  EXPECT_EQ(io_->list(directory).value(), Names{});
  for (const char* const name : {"/two", "/one", "/three"}) {
    io_->close_file(*io_->open(directory + name, OpenMode::create_new));
  }
  EXPECT_EQ(io_->list(directory).value(), (Names{"one", "three", "two"}));
  ASSERT_TRUE(io_->rename(directory + "/one", directory + "/two"));
  ASSERT_TRUE(io_->sync_directory(directory));
  EXPECT_EQ(io_->list(directory).value(), (Names{"three", "two"}));
  ASSERT_TRUE(io_->remove(directory + "/three"));
  EXPECT_EQ(io_->list(directory).value(), Names{"two"});
  EXPECT_EQ(io_->remove(directory + "/three").error(), ENOENT);
  EXPECT_EQ(io_->rename(directory + "/none", directory + "/two").error(), ENOENT);
}

// Goal: one Io holds a lock until it is destroyed.
TEST_P(IoContract, LocksExclusively) {
  const std::string directory = GetParam().directory();
  ASSERT_TRUE(io_->make_directories(directory));
  const std::string path = directory + "/lock";
  std::unique_ptr<Io> other = GetParam().make_other(*io_);
  ASSERT_TRUE(other->lock(path));
  const auto refused = io_->lock(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), EWOULDBLOCK);
  other.reset();
  EXPECT_TRUE(io_->lock(path));
}

// Goal: a wait ends at its deadline, not before it; one in the past does not wait.
TEST_P(IoContract, WaitsUntilTheDeadline) {
  settle();
  const MonoTime deadline = io_->now() + std::chrono::milliseconds{5};
  io_->poll(deadline);
  EXPECT_GE(io_->now(), deadline);
  io_->poll(MonoTime::min());
  io_->poll(io_->now());
}

// Goal: wake() before poll() ends that poll, and only that one.
TEST_P(IoContract, RemembersAWake) {
  settle();
  io_->wake();
  const MonoTime far = io_->now() + std::chrono::hours{1};
  io_->poll(far);
  EXPECT_LT(io_->now(), far);
  const MonoTime near = io_->now() + std::chrono::milliseconds{5};
  io_->poll(near);
  EXPECT_GE(io_->now(), near);
}

// Goal: other threads can end a wait, again and again, without losing one.
// Method: each round hands a number over and wakes; the poller waits without limit for it.
TEST_P(IoContract, WakesFromAnotherThread) {
  constexpr int rounds = 1000;
  std::atomic<int> posted{0};
  std::atomic<int> seen{0};
  std::thread waker([&] {
    for (int round = 1; round <= rounds; ++round) {
      posted.store(round);
      io_->wake();
      while (seen.load() < round) std::this_thread::yield();
    }
  });
  while (seen.load() < rounds) {
    if (posted.load() > seen.load()) {
      seen.store(posted.load());
    } else {
      io_->poll(MonoTime::max());
    }
  }
  waker.join();
  EXPECT_EQ(seen.load(), rounds);
}

// Goal: the clocks run, the boot id stays, chance is not constant.
TEST_P(IoContract, HasClocksAndChance) {
  const MonoTime before = io_->now();
  const WallTime wall = io_->wall_now();
  EXPECT_GT(wall.time_since_epoch(), std::chrono::hours{24});
  settle();
  EXPECT_GT(io_->now(), before);
  EXPECT_GT(io_->wall_now(), wall);
  EXPECT_TRUE(io_->wall_trusted());
  EXPECT_EQ(io_->boot_id(), io_->boot_id());
  std::array<std::byte, 32> one{};
  std::array<std::byte, 32> two{};
  io_->random(one);
  io_->random(two);
  EXPECT_NE(one, two);
}

}  // namespace tocsin::io::contract
