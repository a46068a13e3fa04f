// Goal: every older version of the database is brought to the newest; a step that fails leaves the
// version before it.
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "store/database.hpp"
#include "store/schema.hpp"
#include "tests/support/temporary_directory.hpp"

namespace tocsin::store {
namespace {

constexpr std::array steps{"CREATE TABLE a (x)", "INSERT INTO a VALUES (1)",
                           "INSERT INTO a VALUES (2)", "ALTER TABLE a ADD COLUMN y"};

class Schema : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_ / "x.db"; }
  testing::TemporaryDirectory directory_;
};

TEST_F(Schema, EveryOlderVersionIsUpgraded) {
  for (std::size_t from = 0; from <= steps.size(); ++from) {
    SCOPED_TRACE(from);
    const std::string file = directory_ / std::to_string(from);
    {
      auto database = Database::open(file);
      ASSERT_TRUE(database);
      ASSERT_TRUE(migrate(*database, std::span(steps).first(from)));
      EXPECT_EQ(*database->number("PRAGMA user_version"), static_cast<std::int64_t>(from));
    }
    auto database = Database::open(file);
    ASSERT_TRUE(database);
    ASSERT_TRUE(migrate(*database, steps));
    ASSERT_TRUE(migrate(*database, steps)) << "again: nothing to do";
    EXPECT_EQ(*database->number("SELECT sum(x) FROM a WHERE y IS NULL"), 3);
    EXPECT_EQ(*database->number("PRAGMA user_version"), 4);
  }
}

TEST_F(Schema, AFailedStepIsUndone) {
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  const std::array bad{steps[0], "INSERT INTO a VALUES (5); INSERT INTO missing VALUES (1)"};
  EXPECT_FALSE(migrate(*database, bad));
  EXPECT_EQ(*database->number("PRAGMA user_version"), 1);
  EXPECT_EQ(*database->number("SELECT count(*) FROM a"), 0);
  EXPECT_TRUE(migrate(*database, steps));
}

TEST_F(Schema, NewerIsRefusedAndImpossibleIsDamage) {
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  ASSERT_TRUE(migrate(*database, steps));
  EXPECT_EQ(migrate(*database, std::span(steps).first(3)).error().fault, DbFault::version);
  ASSERT_TRUE(database->execute("PRAGMA user_version=68"));
  EXPECT_EQ(migrate(*database, steps).error().fault, DbFault::damaged);
}

TEST_F(Schema, ConnectionsAreDurableAndExclusive) {
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  ASSERT_TRUE(migrate(*database));
  EXPECT_EQ(*database->number("PRAGMA synchronous"), 2) << "full";
  EXPECT_EQ(*database->number("PRAGMA auto_vacuum"), 2) << "incremental";
  const auto second = Database::open(path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, DbFault::unavailable);
}

// Goal: neither the database nor its log is open to other users, and neither mask nor mode of what
// is there is in the way.
TEST_F(Schema, FilesAreForTheirOwnerAndGroup) {
  for (const ::mode_t mask : {0U, 0022U, 0077U}) {
    SCOPED_TRACE(mask);
    const std::string file = directory_ / std::to_string(mask);
    const ::mode_t before = ::umask(mask);
    auto database = Database::open(file);
    ::umask(before);
    ASSERT_TRUE(database);
    ASSERT_TRUE(migrate(*database, steps));
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      EXPECT_EQ(static_cast<unsigned>(entry.status().permissions()), 0640U) << entry.path();
    }
    EXPECT_TRUE(std::filesystem::exists(file + "-wal"));
  }
}

// Goal: what an administrator gave the file stays.
TEST_F(Schema, TheModeOfAFileThatIsThereStays) {
  std::ofstream(path()) << "";
  std::filesystem::permissions(path(), std::filesystem::perms{0600});
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  ASSERT_TRUE(migrate(*database, steps));
  for (const std::string& name : {path(), path() + "-wal"}) {
    EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(name).permissions()), 0600U) << name;
  }
}

// Goal: the log is gone after an end in order, and only then.
TEST_F(Schema, TheLogIsLeftAfterFaults) {
  for (const bool in_order : {false, true}) {
    {
      auto database = Database::open(path());
      ASSERT_TRUE(database);
      ASSERT_TRUE(migrate(*database, steps));
      if (in_order) database->end_in_order();
    }
    EXPECT_NE(std::filesystem::exists(path() + "-wal"), in_order);
  }
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  EXPECT_EQ(*database->number("SELECT sum(x) FROM a"), 3);
}

TEST_F(Schema, ATransactionIsUndoneUnlessCommitted) {
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  ASSERT_TRUE(migrate(*database, std::span(steps).first(1)));
  auto insert = database->prepare("INSERT INTO a VALUES (?1)");
  ASSERT_TRUE(insert);
  for (const bool commit : {false, true}) {
    auto transaction = Transaction::begin(*database);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(insert->run(std::int64_t{7}));
    if (commit) {
      ASSERT_TRUE(transaction->commit());
    }
  }
  EXPECT_EQ(*database->number("SELECT count(*) FROM a"), 1);
}

TEST_F(Schema, TextsAndBlobsComeBackAsTheyWere) {
  auto database = Database::open(path());
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->execute("CREATE TABLE t (a TEXT, b BLOB)"));
  auto insert = database->prepare("INSERT INTO t VALUES (?1, ?2)");
  const std::string binary("a\0\xff", 3);
  ASSERT_TRUE(insert->run(std::string_view{}, Blob{}));
  ASSERT_TRUE(insert->run(std::string_view("\xc3\xa4"), Blob{binary}));
  auto select = database->prepare("SELECT a, b, a IS NULL OR b IS NULL FROM t ORDER BY a");
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->bytes(0), "");
  EXPECT_EQ(select->integer(2), 0) << "empty is not NULL";
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->bytes(0), "\xc3\xa4");
  EXPECT_EQ(select->bytes(1), binary);
  EXPECT_FALSE(*select->step());
}

}  // namespace
}  // namespace tocsin::store
