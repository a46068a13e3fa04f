// Goal: a damaged database never keeps the program from starting; what is readable of it is kept,
// what is not is never served.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "stages/sessions/store_model_test.hpp"
#include "store/schema.hpp"

namespace tocsin::sessions {
namespace {

namespace fs = std::filesystem;

class StoreDamage : public StoreFixture {
 protected:
  std::vector<std::string> set_aside() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("tocsin.db.damaged-") && !name.ends_with("-wal")) names.push_back(name);
    }
    return names;
  }
  [[nodiscard]] std::string file() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_file(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << bytes;
    fs::remove(path() + "-wal");
  }
  /// Stores a good deal and ends.
  Model fill() {
    start();
    std::mt19937_64 random(3);
    Model model;
    for (int i = 0; i < 400; ++i) model.change(*store, random);
    EXPECT_TRUE(store->stop(patience));
    return model;
  }
  void expect_usable() {
    EXPECT_TRUE(store->put_session(make_session("new")));
    EXPECT_TRUE(store->put_message("new", 1, "m", nullptr));
    EXPECT_EQ(restart().ordinals("new"), std::vector<std::uint64_t>{1});
  }
};

TEST_F(StoreDamage, AFileThatIsNoDatabaseIsSetAside) {
  set_file("This is no database, but it is long enough to look like something. " +
           std::string(5000, '?'));
  const Loaded loaded = start();
  EXPECT_EQ(loaded.error, "");
  EXPECT_TRUE(loaded.order.empty());
  EXPECT_EQ(metric("tocsin_store_damaged_files_total"), 1);
  EXPECT_EQ(set_aside(), std::vector<std::string>{"tocsin.db.damaged-1700000000"});
  expect_usable();
}

TEST_F(StoreDamage, OnlySoManyDamagedFilesAreKept) {
  for (int i = 0; i < 6; ++i) {
    set_file(std::string(5000, '?'));
    EXPECT_EQ(start().error, "");
    EXPECT_TRUE(store->stop(patience));
    if (i % 2 == 0) wall = wall.load() + std::chrono::seconds{1};
  }
  EXPECT_EQ(set_aside().size(), 3U);
}

// Goal: whatever was changed in the file, what is loaded was stored like that.
TEST_F(StoreDamage, FlippedBitsAreFoundAndTheRestIsServed) {
  const Model stored = fill();
  const std::string good = file();
  std::mt19937_64 random(5);
  int whole = 0;
  std::size_t sessions = 0;
  constexpr int rounds = 60;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    std::string bad = good;
    // The header and the first pages as often as all others together.
    const std::size_t range = round % 2 == 0 ? bad.size() : std::size_t{8192};
    const auto at = static_cast<std::size_t>(random() % range);
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    set_file(bad);
    const Loaded loaded = start();
    ASSERT_EQ(loaded.error, "");
    const Model found = Model::of(loaded);
    if (found == stored) ++whole;
    sessions += found.sessions.size();
    for (const auto& [id, session] : found.sessions) {
      ASSERT_TRUE(stored.sessions.contains(id));
      const Model::Session& original = stored.sessions.at(id);
      EXPECT_EQ(session.state, original.state);
      for (const auto& [filter, options] : session.subscriptions) {
        EXPECT_EQ(original.subscriptions.at(filter), options);
      }
      for (const auto& [ordinal, bytes] : session.messages) {
        EXPECT_EQ(original.messages.at(ordinal), bytes);
      }
    }
    for (const auto& [topic, bytes] : found.retained) EXPECT_EQ(stored.retained.at(topic), bytes);
    expect_usable();
    if (HasFailure()) return;
    // What was served once is served again: the damage is gone from the file.
    const Loaded again = restart();
    for (const auto& [id, session] : found.sessions) {
      EXPECT_EQ(again.ordinals(id), loaded.ordinals(id));
    }
    EXPECT_TRUE(store->stop(patience));
  }
  EXPECT_GT(whole, 5) << "much of a file is free space";
  EXPECT_LT(whole, rounds);
  EXPECT_GT(sessions, static_cast<std::size_t>(rounds)) << "one bit must not cost all sessions";
}

TEST_F(StoreDamage, ACutFileIsNoReasonNotToStart) {
  fill();
  const std::string good = file();
  std::mt19937_64 random(6);
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    set_file(good.substr(0, static_cast<std::size_t>(random() % good.size())));
    ASSERT_EQ(start().error, "");
    expect_usable();
    EXPECT_TRUE(store->stop(patience));
  }
}

// Goal: damage that shows while the program runs costs neither the program nor later changes.
TEST_F(StoreDamage, DamageFoundWhileRunningIsReplaced) {
  start();
  EXPECT_TRUE(store->put_session(make_session("a")));
  for (std::uint64_t n = 1; n <= 400; ++n) {
    EXPECT_TRUE(store->put_message("a", n, std::string(10'000, 'x'), nullptr));
  }
  restart();  // Everything is in the file, and nothing in a cache.
  {
    std::fstream out(path(), std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(4096);
    out << std::string(file().size() - 8192, '?');
  }
  auto* const range = ranges.make();
  EXPECT_TRUE(store->remove_message("a", 200));
  EXPECT_TRUE(store->put_session(make_session("b")));
  EXPECT_TRUE(store->put_message("b", 1, "m", range));
  ASSERT_TRUE(store->flush(patience));
  EXPECT_TRUE(ranges.settled(range));
  EXPECT_EQ(metric("tocsin_store_damaged_files_total"), 1);
  EXPECT_EQ(restart().ordinals("b"), std::vector<std::uint64_t>{1});
}

TEST_F(StoreDamage, ANewerVersionIsRefusedByName) {
  fill();
  {
    auto database = store::Database::open(path());
    ASSERT_TRUE(database);
    const std::vector<const char*> steps{"", "CREATE TABLE more (x)", "CREATE TABLE most (x)"};
    ASSERT_TRUE(store::migrate(*database, steps));
  }
  const Loaded loaded = start();
  EXPECT_NE(loaded.error.find(path()), std::string::npos) << loaded.error;
  EXPECT_NE(loaded.error.find("version 3"), std::string::npos) << loaded.error;
  EXPECT_TRUE(set_aside().empty());
}

TEST_F(StoreDamage, ADirectoryThatMayNotBeWrittenIsTold) {
  if (::geteuid() == 0) {
    ASSERT_EQ(::seteuid(65534), 0);
    const Loaded loaded = start();
    ASSERT_EQ(::seteuid(0), 0);
    EXPECT_NE(loaded.error.find("cannot write to " + directory_.path()), std::string::npos);
  }
  auto nowhere = settings();
  nowhere.path = directory_ / "missing/tocsin.db";
  EXPECT_NE(start(nowhere).error.find("missing"), std::string::npos);
}

}  // namespace
}  // namespace tocsin::sessions
