#include "flow/topic_trie.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "flow/sources.hpp"

namespace tocsin::flow {
namespace {

using Values = std::multiset<std::uint64_t>;

Values matches(const TopicTrie& trie, std::string_view topic) {
  Values values;
  trie.match(topic, [&](TopicTrie::Value value) { values.insert(value); });
  return values;
}

std::string levels_text(std::size_t count, std::string_view level) {
  std::string text(level);
  for (std::size_t i = 1; i < count; ++i) text.append("/").append(level);
  return text;
}

// Goal: the examples of section 4.7.
TEST(TopicTrie, MatchesAsSection47Says) {
  TopicTrie trie(1);
  const std::vector<std::string> filters = {"sport/tennis/player1/#",
                                            "sport/#",
                                            "#",
                                            "sport/tennis/+",
                                            "sport/+",
                                            "+",
                                            "+/+",
                                            "/+",
                                            "$SYS/#",
                                            "$SYS/monitor/+",
                                            "+/monitor/Clients"};
  for (std::size_t i = 0; i < filters.size(); ++i) {
    ASSERT_EQ(trie.insert(filters[i], i), TopicTrie::Inserted::added);
  }
  EXPECT_EQ(matches(trie, "sport/tennis/player1"), (Values{0, 1, 2, 3}));
  EXPECT_EQ(matches(trie, "sport/tennis/player1/score"), (Values{0, 1, 2}));
  EXPECT_EQ(matches(trie, "sport"), (Values{1, 2, 5}));
  EXPECT_EQ(matches(trie, "sport/"), (Values{1, 2, 4, 6}));
  EXPECT_EQ(matches(trie, "/finance"), (Values{2, 6, 7}));
  EXPECT_EQ(matches(trie, "$SYS/monitor/Clients"), (Values{8, 9}));
  EXPECT_EQ(matches(trie, "$SYS"), (Values{8}));
}

TEST(TopicTrie, AFilterHasManyValuesAndForgetsThem) {
  TopicTrie trie(1);
  for (std::uint64_t value : {5U, 3U, 9U, 1U, 7U}) {
    ASSERT_EQ(trie.insert("a/+", value), TopicTrie::Inserted::added);
    ASSERT_EQ(trie.insert("a/+", value), TopicTrie::Inserted::present);
  }
  EXPECT_EQ(matches(trie, "a/b"), (Values{1, 3, 5, 7, 9}));
  EXPECT_EQ(trie.size(), 5U);
  EXPECT_FALSE(trie.erase("a/+", 4));
  EXPECT_FALSE(trie.erase("a/b", 5));
  EXPECT_FALSE(trie.erase("a/#", 5));
  for (std::uint64_t value : {9U, 1U, 5U, 3U}) ASSERT_TRUE(trie.erase("a/+", value));
  EXPECT_EQ(matches(trie, "a/b"), (Values{7}));
  ASSERT_TRUE(trie.erase("a/+", 7));
  EXPECT_EQ(trie.size(), 0U);
  EXPECT_EQ(trie.bytes(), 0U);
  EXPECT_TRUE(matches(trie, "a/b").empty());
}

TEST(TopicTrie, BoundsAreKept) {
  TopicTrie trie(1, 2);
  EXPECT_EQ(trie.insert(levels_text(topic_levels_max + 1, "a"), 1), TopicTrie::Inserted::too_deep);
  EXPECT_EQ(trie.insert(levels_text(topic_levels_max, "+"), 1), TopicTrie::Inserted::added);
  EXPECT_EQ(trie.insert("#", 1), TopicTrie::Inserted::added);
  EXPECT_EQ(trie.insert("b", 1), TopicTrie::Inserted::full);
  EXPECT_EQ(trie.insert("#", 1), TopicTrie::Inserted::present);
  EXPECT_EQ(trie.insert("#", 2), TopicTrie::Inserted::full);
  EXPECT_EQ(matches(trie, levels_text(topic_levels_max, "x")), (Values{1, 1}));
  // Deeper topics than any filter: only "#" says anything about them.
  EXPECT_EQ(matches(trie, levels_text(topic_levels_max + 1, "x")), (Values{1}));
  EXPECT_EQ(matches(trie, std::string(65'535, '/')), (Values{1}));
}

// Goal: the same answers as the definition, whatever was inserted and erased before.
// Method: few and short levels, so that filters and topics meet; every step against a plain map.
TEST(TopicTrie, AgreesWithTheDefinition) {
  std::mt19937 random(7);
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::vector<std::string> words = {"a", "b", "", "$", "$a", "a-level-that-is-no-short-one"};
  const auto topic = [&] {
    std::string text;
    const std::size_t count = 1 + pick(4);
    for (std::size_t i = 0; i < count; ++i) {
      text.append(i > 0 ? "/" : "").append(words[pick(words.size())]);
    }
    return text.empty() ? std::string("a") : text;
  };
  const auto filter = [&] {
    std::string text;
    const std::size_t count = 1 + pick(4);
    for (std::size_t i = 0; i < count; ++i) {
      text.append(i > 0 ? "/" : "");
      const std::size_t kind = pick(4);
      if (kind == 0 && i + 1 == count) return text + "#";
      text.append(kind == 1 ? std::string("+") : words[pick(words.size())]);
    }
    return text.empty() ? std::string("+") : text;
  };
  TopicTrie trie(random());
  std::set<std::pair<std::string, std::uint64_t>> truth;
  for (int step = 0; step < 3000; ++step) {
    const std::string f = filter();
    ASSERT_TRUE(topic_filter_valid(f)) << f;
    const std::uint64_t value = pick(6);
    if (pick(2) == 0) {
      const bool added = trie.insert(f, value) == TopicTrie::Inserted::added;
      ASSERT_EQ(added, truth.emplace(f, value).second);
    } else {
      ASSERT_EQ(trie.erase(f, value), truth.erase({f, value}) == 1);
    }
    ASSERT_EQ(trie.size(), truth.size());
    const std::string t = topic();
    Values expected;
    for (const auto& [known, known_value] : truth) {
      if (topic_matches(known, t)) expected.insert(known_value);
    }
    ASSERT_EQ(matches(trie, t), expected) << t;
  }
  while (!truth.empty()) {
    ASSERT_TRUE(trie.erase(truth.begin()->first, truth.begin()->second));
    truth.erase(truth.begin());
  }
  EXPECT_EQ(trie.bytes(), 0U);
}

}  // namespace
}  // namespace tocsin::flow
