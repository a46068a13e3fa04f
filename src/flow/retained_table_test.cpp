#include "flow/retained_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>

#include "flow/sources.hpp"

namespace tocsin::flow {
namespace {

using Found = std::map<std::string, std::string>;

Found matches(const RetainedTable& table, std::string_view filter, std::int64_t now = 0) {
  Found found;
  table.match(filter, now, [&](std::string_view topic, std::string_view bytes, std::int64_t) {
    EXPECT_TRUE(found.emplace(topic, bytes).second) << "twice: " << topic;
  });
  return found;
}

TEST(RetainedTable, KeepsTheLastMessageOfATopic) {
  RetainedTable table(1, {});
  ASSERT_TRUE(table.put("a/b", "1"));
  ASSERT_TRUE(table.put("a/b", "2"));
  ASSERT_TRUE(table.put("a", "3"));
  EXPECT_EQ(table.size(), 2U);
  EXPECT_EQ(table.find("a/b", 0), "2");
  EXPECT_EQ(matches(table, "a/#"), (Found{{"a", "3"}, {"a/b", "2"}}));
  EXPECT_EQ(matches(table, "+"), (Found{{"a", "3"}}));
  EXPECT_TRUE(table.erase("a"));
  EXPECT_FALSE(table.erase("a"));
  EXPECT_EQ(table.find("a/b", 0), "2");
  EXPECT_TRUE(table.erase("a/b"));
  EXPECT_EQ(table.bytes(), 0U);
}

TEST(RetainedTable, BoundsRefuseTheNewest) {
  RetainedTable table(1, {.count_max = 2, .bytes_max = 4000});
  ASSERT_TRUE(table.put("a", "1"));
  ASSERT_TRUE(table.put("b", "2"));
  EXPECT_FALSE(table.put("c", "3"));
  EXPECT_TRUE(table.put("b", "4"));
  EXPECT_FALSE(table.put("b", std::string(4000, 'x')));
  EXPECT_EQ(table.find("b", 0), "4");
  ASSERT_TRUE(table.erase("a"));
  // The bytes of the places that a deep topic needs count, too.
  EXPECT_FALSE(table.put(std::string(100, '/'), "5"));
  EXPECT_FALSE(table.put(std::string(topic_levels_max, '/'), "6"));
  EXPECT_EQ(table.refused(), 4U);
  EXPECT_LE(table.bytes(), 4000U);
}

TEST(RetainedTable, ExpiredMessagesAreGone) {
  RetainedTable table(1, {});
  ASSERT_TRUE(table.put("a/x", "1", 10));
  ASSERT_TRUE(table.put("a/y", "2"));
  EXPECT_EQ(matches(table, "a/+", 9).size(), 2U);
  EXPECT_EQ(matches(table, "a/+", 10), (Found{{"a/y", "2"}}));
  EXPECT_EQ(table.find("a/x", 10), "");
  std::string gone;
  const auto note = [&](std::string_view topic) { gone.append(topic); };
  EXPECT_EQ(table.drop_expired(9, 100, note), 0U);
  EXPECT_EQ(table.drop_expired(10, 100, note), 1U);
  EXPECT_EQ(gone, "a/x");
  EXPECT_EQ(table.size(), 1U);
}

// Goal: a walk in pieces meets what is there all the time exactly once, however the table changes
// between them, and leaves no place behind.
TEST(RetainedTable, WalksWhileItChanges) {
  std::mt19937 random(5);
  RetainedTable table(1, {});
  const auto topic = [](std::size_t i) {
    return std::to_string(i % 7) + "/" + std::to_string(i % 11) + "/" + std::to_string(i);
  };
  for (const std::string_view filter : {"#", "+/+/+", "3/#", "+/4/#", "2/3/#", "0/0/0", "none/+"}) {
    for (std::size_t i = 0; i < 400; ++i) ASSERT_TRUE(table.put(topic(i), "old"));
    RetainedTable::Cursor cursor;
    Found found;
    bool done = false;
    while (!done) {
      std::size_t places = 1 + random() % 5;
      bool take = random() % 4 != 0;
      done = table.walk(cursor, filter, 0, places,
                        [&](std::string_view name, std::string_view bytes, std::int64_t) {
                          if (!std::exchange(take, true)) return false;
                          EXPECT_TRUE(found.emplace(name, bytes).second) << "twice: " << name;
                          return true;
                        });
      EXPECT_EQ(cursor.begun(), !done);
      // The even ones stay, with a new message; the odd ones come and go.
      const std::size_t i = random() % 400;
      if (i % 2 == 0) {
        ASSERT_TRUE(table.put(topic(i), "new"));
      } else if (!table.erase(topic(i))) {
        ASSERT_TRUE(table.put(topic(i), "back"));
      }
    }
    for (std::size_t i = 0; i < 400; i += 2) {
      EXPECT_EQ(found.contains(topic(i)), topic_matches(filter, topic(i))) << filter << topic(i);
    }
    RetainedTable::Cursor stopped;
    std::size_t places = 3;
    static_cast<void>(table.walk(stopped, "#", 0, places, [](auto&&...) { return true; }));
    for (std::size_t i = 0; i < 400; ++i) table.erase(topic(i));
    table.stop(stopped);
    EXPECT_EQ(table.bytes(), 0U);
  }
}

// Goal: the same answers as the definition. Method: as for the trie.
TEST(RetainedTable, AgreesWithTheDefinition) {
  std::mt19937 random(11);
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::vector<std::string> words = {"a", "b", "", "$x", "a-level-that-is-no-short-one"};
  const auto text = [&](bool filter) {
    std::string made;
    const std::size_t count = 1 + pick(4);
    for (std::size_t i = 0; i < count; ++i) {
      made.append(i > 0 ? "/" : "");
      const std::size_t kind = filter ? pick(3) : 2;
      if (kind == 0 && i + 1 == count) return made + "#";
      made.append(kind == 1 ? std::string("+") : words[pick(words.size())]);
    }
    return made.empty() ? std::string("a") : made;
  };
  RetainedTable table(random(), {});
  std::map<std::string, std::pair<std::string, std::int64_t>> truth;
  for (std::int64_t now = 0; now < 3000; ++now) {
    const std::string topic = text(false);
    if (pick(3) > 0) {
      const std::int64_t expires_at = pick(2) == 0 ? RetainedTable::never : now + 50;
      ASSERT_TRUE(table.put(topic, std::to_string(now), expires_at));
      truth[topic] = {std::to_string(now), expires_at};
    } else {
      ASSERT_EQ(table.erase(topic), truth.erase(topic) == 1);
    }
    ASSERT_EQ(table.size(), truth.size());
    const std::string filter = text(true);
    Found expected;
    for (const auto& [known, message] : truth) {
      if (message.second > now && topic_matches(filter, known)) expected[known] = message.first;
    }
    ASSERT_EQ(matches(table, filter, now), expected) << filter;
    if (now % 100 == 0) {
      table.drop_expired(now, SIZE_MAX, [](std::string_view) {});
      std::erase_if(truth, [&](const auto& entry) { return entry.second.second <= now; });
    }
  }
}

}  // namespace
}  // namespace tocsin::flow
