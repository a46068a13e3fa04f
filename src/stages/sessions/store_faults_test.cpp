// Goal: no fault of the disk loses what was acknowledged, and the store goes on by itself.
// Method: SQLite on a simulated disk; random changes, compared with a model.
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
  StoreFaults() {
    // The store looks for the file by its name, in the real directory.
    std::ofstream(path()) << "";
  }
  ~StoreFaults() override { store.reset(); }  // Before the disk.
  StoreSettings by_hand() {
    StoreSettings with = settings();
    with.commit_interval = std::chrono::hours{1};  // One step is one commit.
    with.retry_delay = std::chrono::milliseconds{1};
    with.retry_delay_max = std::chrono::milliseconds{1};
    return with;
  }
  Loaded start_on(std::unique_ptr<SimDisk> next) {
    store.reset();
    disk.reset();
    disk = std::move(next);
    return start(by_hand());
  }
  /// A power cut now, and the next start.
  Model after_power_cut(std::uint64_t seed) {
    auto left = disk->cut_power(seed);
    store.reset();
    disk.reset();
    const Loaded loaded = start_on(std::make_unique<SimDisk>(left));
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

  std::unique_ptr<SimDisk> disk;
};

TEST_F(StoreFaults, AcknowledgedChangesSurviveAPowerCutAtAnyOperation) {
  int survived_whole = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    start_on(std::make_unique<SimDisk>());
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

// Goal: whichever operation fails once, nothing is lost, also not to a power cut that comes later.
TEST_F(StoreFaults, AnyOperationMayFailOnce) {
  for (const int code : {SQLITE_IOERR, SQLITE_FULL}) {
    std::uint64_t operations = UINT64_MAX;
    for (std::uint64_t failing = 1; failing <= operations; ++failing) {
      SCOPED_TRACE(failing);
      std::mt19937_64 random(7);
      start_on(std::make_unique<SimDisk>());
      disk->set_faults(
          [=](DiskOperation, std::uint64_t n) { return n == failing ? code : SQLITE_OK; });
      Model model;
      for (int steps = 0; steps < 4; ++steps) {
        step(model, random);
        ASSERT_TRUE(store->flush(patience));
      }
      operations = disk->operations();
      EXPECT_TRUE(after_power_cut(failing) == model);
      if (HasFailure()) return;
    }
    EXPECT_GT(operations, 40U);
  }
}

// Goal: while the disk is full changes wait and their ranges stay unsettled; then it goes on.
TEST_F(StoreFaults, AFullDiskIsWaitedFor) {
  start_on(std::make_unique<SimDisk>());
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
  start_on(std::make_unique<SimDisk>());
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
  start_on(std::make_unique<SimDisk>());
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
