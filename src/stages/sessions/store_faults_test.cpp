// Goal: no fault of the disk loses what was acknowledged, and the store goes on by itself.
// Method: SQLite on a simulated disk; random changes, compared with a model.
#include <filesystem>
#include <fstream>

#include <sqlite3.h>

#include "stages/sessions/store_model_test.hpp"
#include "store/sim_disk_test.hpp"

namespace tocsin::sessions {
namespace {

using store::DiskOperation;
using store::SimDisk;

class StoreFaults : public StoreFixture {
 protected:
  ~StoreFaults() override { store.reset(); }  // Before the disk.
  StoreSettings by_hand() {
    StoreSettings with = settings();
    with.file = file;
    with.commit_interval = std::chrono::hours{1};  // One step is one commit.
    with.retry_delay = std::chrono::milliseconds{1};
    with.retry_delay_max = std::chrono::milliseconds{1};
    return with;
  }
  Loaded start_on(const SimDisk::Contents& contents) {
    store.reset();
    disk.reset();
    disk = std::make_unique<SimDisk>(contents);
    // Whether there is a database the store asks the real directory.
    std::filesystem::remove(path());
    if (contents.contains(path())) std::ofstream(path()) << "";
    return start(by_hand());
  }
  /// A power cut now, and the next start.
  Model after_power_cut(std::uint64_t seed) {
    const Loaded loaded = start_on(disk->cut_power(seed));
    EXPECT_EQ(loaded.error, "");
    EXPECT_EQ(metric("tocsin_store_damaged_files_total"), 0);
    EXPECT_EQ(metric("tocsin_store_damaged_rows_total"), 0);
    return Model::of(loaded);
  }
  void step(Model& model, std::mt19937_64& random, int changes = 12) {
    for (int i = 0; i < changes; ++i) model.change(*store, random);
  }
  /// False when the disk refuses.
  bool commit() {
    for (;;) {
      if (store->flush(std::chrono::milliseconds{2})) return true;
      if (!store->writable()) return false;
    }
  }
  /// False when the power fails before it succeeds.
  bool commit_before(std::uint64_t cut) {
    for (;;) {
      if (store->flush(std::chrono::milliseconds{2})) return true;
      if (disk->operations() >= cut && !store->writable()) return false;
    }
  }
  /// The operations of a run in which the last of them failed.
  std::uint64_t fail_each_once(int code) {
    std::uint64_t operations = UINT64_MAX;
    for (std::uint64_t failing = 1; failing <= operations && !HasFailure(); ++failing) {
      SCOPED_TRACE(::testing::Message() << "cache " << file.cache_kib << " KiB, operation "
                                        << failing << ", code " << code);
      std::mt19937_64 random(7);
      start_on({});
      disk->set_faults(
          [=](DiskOperation, std::uint64_t n) { return n == failing ? code : SQLITE_OK; });
      Model model;
      for (int steps = 0; steps < 4; ++steps) {
        step(model, random);
        EXPECT_TRUE(store->flush(patience));
      }
      operations = disk->operations();
      EXPECT_TRUE(after_power_cut(failing) == model);
    }
    return operations;
  }

  std::unique_ptr<SimDisk> disk;
  FileSettings file;
};

TEST_F(StoreFaults, AcknowledgedChangesSurviveAPowerCutAtAnyOperation) {
  int survived_whole = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    start_on({});
    const std::uint64_t cut = 1 + random() % 220;
    disk->set_faults(
        [=](DiskOperation, std::uint64_t n) { return n >= cut ? SQLITE_IOERR : SQLITE_OK; });
    Model acknowledged;
    Model next;
    for (int steps = 0; steps < 12; ++steps) {
      step(next, random);
      if (!commit()) break;
      acknowledged = next;
    }
    const Model found = after_power_cut(seed);
    // The commit under way may have been the last thing that reached the disk, as a whole.
    EXPECT_TRUE(found == acknowledged || found == next);
    if (found == next && !(found == acknowledged)) ++survived_whole;
    if (HasFailure()) return;
  }
  EXPECT_GT(survived_whole, 0) << "the cut never came late in a commit";
}

// Goal: whichever operation fails once, from the first of a new file, nothing is lost, also not to
// a power cut that comes later.
TEST_F(StoreFaults, AnyOperationMayFailOnce) {
  for (const FileSettings with : {FileSettings{.cache_kib = 1024, .log_pages_max = 1000},
                                  FileSettings{.cache_kib = 256, .log_pages_max = 20}}) {
    file = with;
    for (const int code : {SQLITE_IOERR, SQLITE_FULL}) {
      const std::uint64_t operations = fail_each_once(code);
      if (HasFailure()) return;
      EXPECT_GT(operations, 100U);
    }
  }
}

// Goal: nothing is lost when the power fails while the store recovers from an error, which may
// last.
TEST_F(StoreFaults, APowerCutMayFollowFaults) {
  int survived_whole = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    file = {.cache_kib = seed % 2 == 0 ? 256 : 8, .log_pages_max = 20};
    start_on({});
    const int code = seed % 3 == 0 ? SQLITE_FULL : SQLITE_IOERR;
    const std::uint64_t first = 1 + random() % 180;
    const std::uint64_t recovered = first + 1 + (seed % 4 == 0 ? random() % 12 : 0);
    const std::uint64_t cut = recovered + random() % 120;
    disk->set_faults([=](DiskOperation, std::uint64_t n) {
      if (n >= cut) return SQLITE_IOERR;
      return n >= first && n < recovered ? code : SQLITE_OK;
    });
    Model acknowledged;
    Model next;
    for (int steps = 0; steps < 6; ++steps) {
      step(next, random);
      if (!commit_before(cut)) break;
      acknowledged = next;
    }
    const Model found = after_power_cut(seed);
    EXPECT_TRUE(found == acknowledged || found == next);
    if (found == next && !(found == acknowledged)) ++survived_whole;
    if (HasFailure()) return;
  }
  EXPECT_GT(survived_whole, 0) << "the cut never came late in a commit";
}

// Goal: what a failed sync left in the page cache, and only there, is no gap below the commits of
// the next process.
TEST_F(StoreFaults, TheNextProcessDoesNotTrustTheLog) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    start_on({});
    Model before;
    step(before, random);
    ASSERT_TRUE(commit());
    disk->set_faults([failed = false](DiskOperation operation, std::uint64_t) mutable {
      failed = failed || operation == DiskOperation::sync;
      return failed ? SQLITE_IOERR : SQLITE_OK;
    });
    step(before, random);
    EXPECT_FALSE(commit());
    EXPECT_FALSE(store->stop(std::chrono::milliseconds{1}));
    disk->set_faults(nullptr);
    store.reset();
    Model model = Model::of(start(by_hand()));
    model.ordinal = before.ordinal;
    step(model, random);
    ASSERT_TRUE(store->flush(patience));
    EXPECT_TRUE(after_power_cut(seed) == model);
    if (HasFailure()) return;
  }
}

// Goal: while the disk is full changes wait and their ranges stay unsettled; then it goes on.
TEST_F(StoreFaults, AFullDiskIsWaitedFor) {
  start_on({});
  std::mt19937_64 random(1);
  Model model;
  step(model, random);
  ASSERT_TRUE(commit());
  disk->set_faults([](DiskOperation operation, std::uint64_t) {
    return operation == DiskOperation::write ? SQLITE_FULL : SQLITE_OK;
  });
  EXPECT_TRUE(store->put_session(make_session("a")));
  model.sessions["a"].state = "state";
  auto* const range = ranges.make();
  EXPECT_TRUE(store->put_message("a", 1, "m", range));
  model.sessions["a"].messages[1] = "m";
  EXPECT_FALSE(commit());
  EXPECT_FALSE(store->writable());
  EXPECT_GT(metric("tocsin_store_errors_total", "full"), 0);
  EXPECT_FALSE(ranges.settled(range));
  // What comes meanwhile waits behind it; what comes and goes costs nothing.
  step(model, random);
  for (std::uint64_t n = 2; n < 1000; ++n) {
    EXPECT_TRUE(store->put_message("a", n, std::string(100'000, 'x'), nullptr));
    EXPECT_TRUE(store->remove_message("a", n));
  }
  EXPECT_FALSE(ranges.settled(range));
  disk->set_faults(nullptr);
  ASSERT_TRUE(store->flush(patience));
  EXPECT_TRUE(ranges.settled(range));
  EXPECT_TRUE(store->writable());
  EXPECT_TRUE(after_power_cut(1) == model);
}

// Goal: an end while the disk refuses is told, and never settles what was not stored.
TEST_F(StoreFaults, EndingOnABrokenDiskSettlesNothing) {
  start_on({});
  disk->set_faults([](DiskOperation, std::uint64_t) { return SQLITE_IOERR; });
  EXPECT_TRUE(store->put_session(make_session("a")));
  auto* const range = ranges.make();
  EXPECT_TRUE(store->put_message("a", 1, "m", range));
  EXPECT_FALSE(commit());
  EXPECT_FALSE(store->stop(std::chrono::milliseconds{10}));
  EXPECT_FALSE(ranges.settled(range));
}

// Goal: the log beside the database does not grow with what passes through.
TEST_F(StoreFaults, TheLogStaysShort) {
  start_on({});
  EXPECT_TRUE(store->put_session(make_session("a")));
  for (std::uint64_t n = 1; n <= 60; ++n) {
    for (std::uint64_t i = 0; i < 20; ++i) {
      EXPECT_TRUE(store->put_message("a", n * 100 + i, std::string(20'000, 'x'), nullptr));
      EXPECT_TRUE(store->remove_message("a", (n - 1) * 100 + i));
    }
    ASSERT_TRUE(store->flush(patience));
  }
  std::size_t bytes = 0;
  for (const auto& [path, content] : disk->cut_power(1)) bytes += content.size();
  EXPECT_LT(bytes, std::size_t{12} << 20U) << "24 MB went through";
}

}  // namespace
}  // namespace tocsin::sessions
