#include <cerrno>
#include <set>

#include <gtest/gtest.h>

#include "tests/sim/sim_test_peer.hpp"

namespace tocsin::io::test {
namespace {

using std::chrono::seconds;

struct Disk : ::testing::Test {
  std::optional<std::string> content(std::string_view path) {
    const auto bytes = world.disk().read_file(path);
    if (!bytes) return std::nullopt;
    return text_of(*bytes);
  }
  FileId create(const std::string& path) { return *io->open(path, OpenMode::create_or_open); }
  void write(FileId file, std::string_view text, std::uint64_t offset = 0) {
    io->write(file, bytes_of(text), offset, done);
    world.run_for(seconds{1});
  }
  /// A file whose name survives a power cut.
  FileId create_durable(const std::string& path) {
    world.disk().write_file(path, {});
    return *io->open(path, OpenMode::write_existing);
  }
  void reboot(Unsynced unsynced = Unsynced::lost) {
    world.power_cut(unsynced);
    io = world.make_io();
  }

  SimWorld world{1};
  std::unique_ptr<SimIo> io = world.make_io();
  RecordingFile done;
};

// Goal: open modes, sizes, reads and writes do what the contract says.
TEST_F(Disk, ReadsWhatWasWritten) {
  EXPECT_EQ(io->open("a", OpenMode::read).error(), ENOENT);
  EXPECT_EQ(io->open("a", OpenMode::write_existing).error(), ENOENT);
  EXPECT_EQ(io->open("no/a", OpenMode::create_new).error(), ENOENT);
  const FileId file = *io->open("a", OpenMode::create_new);
  EXPECT_EQ(io->open("a", OpenMode::create_new).error(), EEXIST);
  io->write(file, bytes_of("hello"), 3, done);
  EXPECT_TRUE(done.done.empty());
  world.run_for(seconds{1});
  EXPECT_EQ(done.done, std::vector<Errno>{0});
  EXPECT_EQ(*io->size(file), 8U);
  std::array<std::byte, 10> into{};
  EXPECT_EQ(*io->read(file, into, 3), 5U);
  EXPECT_EQ(text_of(std::span(into).first(5)), "hello");
  EXPECT_EQ(*io->read(file, into, 8), 0U);
  ASSERT_TRUE(io->truncate(file, 4));
  ASSERT_TRUE(io->truncate(file, 6));
  EXPECT_EQ(content("/a"), std::string("\0\0\0h\0\0", 6));
  const FileId reader = *io->open("a", OpenMode::read);
  write(reader, "x");
  EXPECT_EQ(done.done.back(), EBADF);
  io->close_file(file);
}

TEST_F(Disk, DirectoriesAndNames) {
  ASSERT_TRUE(io->make_directories("d/e"));
  ASSERT_TRUE(io->make_directories("d/e"));
  create("d/y");
  create("d/x");
  EXPECT_EQ(*io->list("d"), (std::vector<std::string>{"e", "x", "y"}));
  EXPECT_EQ(io->list("none").error(), ENOENT);
  EXPECT_EQ(io->list("d/x").error(), ENOTDIR);
  EXPECT_EQ(io->make_directories("d/x/z").error(), ENOTDIR);
  ASSERT_TRUE(io->rename("d/x", "d/e/z"));
  ASSERT_TRUE(io->rename("d/e", "f"));
  EXPECT_EQ(io->rename("d/x", "d/q").error(), ENOENT);
  EXPECT_EQ(world.disk().list_files(), (std::vector<std::string>{"/d/y", "/f/z"}));
  ASSERT_TRUE(io->remove("./d/../d/y"));
  EXPECT_EQ(io->remove("d/y").error(), ENOENT);
  EXPECT_EQ(io->remove("d").error(), EISDIR);
}

// Goal: only what was synced survives a power cut; a killed process loses nothing that it wrote.
TEST_F(Disk, PowerCutDropsWhatWasNotSynced) {
  const FileId file = create_durable("d/log");
  io->write_and_sync(file, bytes_of("safe"), 0, done);
  world.run_for(seconds{1});
  write(file, "gone", 4);
  world.kill_process();
  io = world.make_io();
  EXPECT_EQ(content("d/log"), "safegone");
  reboot();
  EXPECT_EQ(content("d/log"), "safe");
}

// Goal: data shrunk away and grown again without a sync between does not come back.
TEST_F(Disk, TruncatedDataStaysAway) {
  const FileId file = create_durable("log");
  write(file, "secret");
  ASSERT_TRUE(io->sync(file));
  ASSERT_TRUE(io->truncate(file, 0));
  ASSERT_TRUE(io->truncate(file, 6));
  ASSERT_TRUE(io->sync(file));
  reboot();
  EXPECT_EQ(content("log"), std::string(6, '\0'));
}

// Goal: names survive only after sync_directory: creations, renames and removals alike, and a
// directory needs its own parent synced.
TEST_F(Disk, NamesNeedTheirDirectorySynced) {
  world.disk().write_file("d/old", bytes_of("old"));
  world.disk().write_file("d/stay", bytes_of("stay"));
  create("d/new");
  ASSERT_TRUE(io->rename("d/old", "d/renamed"));
  ASSERT_TRUE(io->remove("d/stay"));
  reboot();
  EXPECT_EQ(*io->list("d"), (std::vector<std::string>{"old", "stay"}));
  ASSERT_TRUE(io->rename("d/old", "d/renamed"));
  ASSERT_TRUE(io->remove("d/stay"));
  ASSERT_TRUE(io->sync_directory("d"));
  ASSERT_TRUE(io->make_directories("e"));
  create("e/file");
  ASSERT_TRUE(io->sync_directory("e"));
  reboot();
  EXPECT_EQ(world.disk().list_files(), std::vector<std::string>{"/d/renamed"});
}

// Goal: a cut may keep any choice of unsynced sectors: some, not always the same, never part of
// one.
TEST(SimDisk, PowerCutKeepsRandomSectors) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimWorld world(seed);
    auto io = world.make_io();
    world.disk().write_file("f", bytes_of(std::string(4 * SimDisk::sector_bytes, '-')));
    const FileId file = *io->open("f", OpenMode::write_existing);
    const std::string text(4 * SimDisk::sector_bytes, 'x');
    RecordingFile done;
    io->write(file, bytes_of(text), 0, done);
    world.run_for(seconds{1});
    world.power_cut(Unsynced::random_sectors);
    const std::string left = text_of(*world.disk().read_file("f"));
    std::string outcome;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::string sector = left.substr(i * SimDisk::sector_bytes, SimDisk::sector_bytes);
      EXPECT_EQ(sector, std::string(SimDisk::sector_bytes, sector[0]));
      outcome += sector[0];
    }
    outcomes.insert(outcome);
  }
  EXPECT_GT(outcomes.size(), 3U);
}

// Goal: a cut at each byte leaves exactly that many bytes, and nobody is told of success.
TEST(SimDisk, PowerCutAtEachByte) {
  const std::string text = "0123456789";
  for (std::uint64_t cut = 1; cut <= text.size(); ++cut) {
    SimWorld world(cut);
    auto io = world.make_io();
    const BootId boot = io->boot_id();
    world.disk().write_file("f", {});
    const FileId file = *io->open("f", OpenMode::write_existing);
    RecordingFile done;
    world.power_cut_after_bytes(cut);
    io->write_and_sync(file, bytes_of(text).first(6), 0, done);
    io->write_and_sync(file, bytes_of(text).subspan(6), 6, done);
    world.run_for(seconds{1});
    EXPECT_TRUE(io->dead());
    EXPECT_TRUE(done.done.empty());
    EXPECT_EQ(io->open("f", OpenMode::read).error(), EIO);
    io = world.make_io();
    EXPECT_NE(io->boot_id(), boot);
    EXPECT_EQ(text_of(*world.disk().read_file("f")), text.substr(0, static_cast<std::size_t>(cut)));
  }
}

// Goal: the n-th write fails, once or for ever, having written what the script says.
TEST_F(Disk, ScriptedWriteFaults) {
  const FileId file = create("f");
  world.fail_nth_write(2, ENOSPC, Repeat::once, 2);
  write(file, "aaaa");
  write(file, "bbbb");
  EXPECT_EQ(content("f"), "bbaa");
  write(file, "cccc");
  EXPECT_EQ(done.done, (std::vector<Errno>{0, ENOSPC, 0}));
  world.fail_nth_write(1, EIO, Repeat::forever);
  write(file, "dddd");
  write(file, "dddd");
  EXPECT_EQ(content("f"), "cccc");
  world.clear_file_faults();
  write(file, "eeee");
  EXPECT_EQ(done.done, (std::vector<Errno>{0, ENOSPC, 0, EIO, EIO, 0}));
}

// Goal: after a failed sync a later one succeeds without having saved what the first one lost.
TEST_F(Disk, FailedSyncLosesData) {
  const FileId file = create_durable("f");
  const std::string text(64 * SimDisk::sector_bytes, 'x');
  world.fail_nth_sync(1, EIO);
  io->write_and_sync(file, bytes_of(text), 0, done);
  world.run_for(seconds{1});
  EXPECT_EQ(done.done, std::vector<Errno>{EIO});
  EXPECT_EQ(content("f"), text);
  EXPECT_TRUE(io->sync(file));
  reboot();
  EXPECT_NE(content("f"), text);
}

TEST_F(Disk, OtherScriptedFaults) {
  const FileId file = create("f");
  world.fail_nth_sync(1, EIO);
  EXPECT_EQ(io->sync(file).error(), EIO);
  for (const auto operation :
       {FileOperation::open, FileOperation::read, FileOperation::truncate, FileOperation::allocate,
        FileOperation::rename, FileOperation::remove, FileOperation::list,
        FileOperation::sync_directory, FileOperation::make_directories, FileOperation::lock}) {
    world.fail_nth(operation, 1, EIO);
  }
  EXPECT_EQ(io->open("g", OpenMode::create_new).error(), EIO);
  EXPECT_EQ(io->read(file, {}, 0).error(), EIO);
  EXPECT_EQ(io->truncate(file, 1).error(), EIO);
  EXPECT_EQ(io->allocate(file, 1).error(), EIO);
  EXPECT_EQ(io->rename("f", "g").error(), EIO);
  EXPECT_EQ(io->remove("f").error(), EIO);
  EXPECT_EQ(io->list("/").error(), EIO);
  EXPECT_EQ(io->sync_directory("/").error(), EIO);
  EXPECT_EQ(io->make_directories("d").error(), EIO);
  EXPECT_EQ(io->lock("l").error(), EIO);
  EXPECT_EQ(world.disk().list_files(), std::vector<std::string>{"/f"});
}

// Goal: random errors hit some writes and syncs, torn ones leave a part, and the rest succeed.
TEST(SimDisk, RandomWriteFaults) {
  SimWorld world(3, {.slow_disk = 0.2, .write_error = 0.3, .short_write = 0.5, .sync_error = 0.3});
  auto io = world.make_io();
  const FileId file = *io->open("f", OpenMode::create_new);
  const std::string text(100, 'x');
  RecordingFile done;
  for (int i = 0; i < 200; ++i) io->write_and_sync(file, bytes_of(text), 0, done);
  world.run_for(seconds{60});
  ASSERT_EQ(done.done.size(), 200U);
  const std::set<Errno> errors(done.done.begin(), done.done.end());
  EXPECT_EQ(errors, (std::set<Errno>{0, EIO, ENOSPC}));
}

// Goal: what a process was writing when it was killed is there in part, in whole, or not at all.
TEST(SimDisk, KilledInTheMiddleOfAWrite) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SimWorld world(seed);
    auto io = world.make_io();
    const FileId file = *io->open("f", OpenMode::create_new);
    RecordingFile done;
    io->write(file, bytes_of("0123456789"), 0, done);
    world.kill_process();
    sizes.insert(world.disk().read_file("f")->size());
    world.run_for(seconds{1});
    EXPECT_TRUE(done.done.empty());
  }
  EXPECT_TRUE(sizes.contains(0) && sizes.contains(10) && sizes.size() > 3);
}

// Goal: a lock excludes other Ios until its holder is gone, however it went.
TEST_F(Disk, LocksExcludeOtherProcesses) {
  ASSERT_TRUE(io->lock("lock"));
  auto second = world.make_io();
  EXPECT_EQ(second->lock("lock").error(), EWOULDBLOCK);
  io.reset();
  EXPECT_TRUE(second->lock("lock"));
  world.kill_process();
  io = world.make_io();
  EXPECT_TRUE(io->lock("lock"));
}

TEST_F(Disk, AccessorsForTests) {
  world.disk().write_file("/d/f", bytes_of("abc"));
  EXPECT_TRUE(world.disk().corrupt("d/f", 1, 0x01));
  EXPECT_FALSE(world.disk().corrupt("d/f", 3, 0x01));
  EXPECT_FALSE(world.disk().read_file("d"));
  reboot();
  EXPECT_EQ(content("d/f"), "acc");
  write(*io->open("d/f", OpenMode::write_existing), "x");
  EXPECT_EQ(text_of(*world.disk().durable_file("d/f")), "acc");
}

}  // namespace
}  // namespace tocsin::io::test
