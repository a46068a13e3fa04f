// Goal: a pattern allows what it says and nothing that a client's own names could add.
#include "control/auth/topic_pattern.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "flow/sources.hpp"

namespace tocsin::auth {
namespace {

TopicPattern pattern(std::string_view text) {
  auto compiled = TopicPattern::compile(text);
  EXPECT_TRUE(compiled) << text;
  return compiled ? *compiled : *TopicPattern::compile("never");
}

struct Row {
  std::string_view pattern;
  std::string_view topic;
  bool allowed;
  Substitutes values{.client_id = "c1", .user = "u1"};
};

TEST(TopicPattern, MatchesTopics) {
  const Row rows[] = {
      {"a/b", "a/b", true},
      {"a/b", "a", false},
      {"a/b", "a/b/c", false},
      {"a/b", "a/b/", false},
      {"a/+", "a/b", true},
      {"a/+", "a/", true},
      {"a/+", "a", false},
      {"a/+", "a/b/c", false},
      {"a/#", "a", true},
      {"a/#", "a/b/c", true},
      {"a/#", "ab", false},
      {"#", "a/b", true},
      {"#", "$SYS/x", false},
      {"+/x", "$SYS/x", false},
      {"$SYS/#", "$SYS/x", true},
      {"$SYS/#", "$SYS2/x", false},
      {"/a", "/a", true},
      {"/a", "a", false},
      {"devices/%c/t", "devices/c1/t", true},
      {"devices/%c/t", "devices/c2/t", false},
      {"devices/%c/t", "devices//t", false},
      {"%u/%c/#", "u1/c1", true},
      {"%u/%c/#", "u1/c2/x", false},
      {"dev-%u-%c", "dev-u1-c1", true},
      {"dev-%u-%c", "dev-u1-c11", false},
      {"100%%", "100%", true},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(pattern(row.pattern).matches(row.topic, row.values), row.allowed)
        << row.pattern << " " << row.topic;
  }
}

// Every row is a client that chose its name to reach more than its own topics.
TEST(TopicPattern, SubstitutesInjectNothing) {
  using namespace std::string_view_literals;
  const Row rows[] = {
      {"devices/%c/t", "devices/a/t", false, {.client_id = "+", .user = "u"}},
      {"devices/%c/t", "devices/+/t", false, {.client_id = "+", .user = "u"}},
      {"devices/%c", "devices/#", false, {.client_id = "#", .user = "u"}},
      {"devices/%c", "devices/a/b", false, {.client_id = "a/b", .user = "u"}},
      {"devices/%c/t", "devices//t", false, {.client_id = "", .user = "u"}},
      {"%c/#", "$SYS/broker", false, {.client_id = "$SYS", .user = "u"}},
      {"%u/#", "$SYS/broker", false, {.client_id = "c", .user = "$SYS"}},
      {"%c%u", "devices", false, {.client_id = "", .user = "devices"}},
      {"%u/x", "a/b/x", false, {.client_id = "c", .user = "a/b"}},
      {"%u/x", "a\0b/x"sv, false, {.client_id = "c", .user = "a\0b"sv}},
      {"x/%c", "x/%u", true, {.client_id = "%u", .user = "admin"}},
      {"x/%c", "x/admin", false, {.client_id = "%u", .user = "admin"}},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(pattern(row.pattern).matches(row.topic, row.values), row.allowed)
        << row.pattern << " " << row.topic;
    EXPECT_EQ(pattern(row.pattern).covers(row.topic, row.values), row.allowed)
        << row.pattern << " " << row.topic;
  }
}

TEST(TopicPattern, CoversFilters) {
  const Row rows[] = {
      {"a/#", "a/#", true},       {"a/#", "a/+/b", true},    {"a/#", "a", true},
      {"a/#", "#", false},        {"a/#", "+/#", false},     {"a/+", "a/#", false},
      {"a/+", "a/+", true},       {"a/b", "a/+", false},     {"+/b", "a/b", true},
      {"+/b", "+/b", true},       {"+/b", "+/+", false},     {"#", "#", true},
      {"#", "+/a", true},         {"#", "$SYS/#", false},    {"+/#", "#", true},
      {"+/+/#", "#", false},      {"a/+/#", "a/#", false},   {"%c/#", "c1/#", true},
      {"%c/#", "+/#", false},     {"%c/#", "#", false},      {"$SYS/#", "$SYS/#", true},
      {"#", "$share/g/a", false}, {"d/%c/+", "d/+/x", false}};
  for (const Row& row : rows) {
    EXPECT_EQ(pattern(row.pattern).covers(row.topic, row.values), row.allowed)
        << row.pattern << " " << row.topic;
  }
}

std::string random_filter(std::mt19937& random, std::size_t levels_max, bool wildcards) {
  const std::vector<std::string> levels = wildcards
                                              ? std::vector<std::string>{"a", "b", "+", "", "$s"}
                                              : std::vector<std::string>{"a", "b", "z", "", "$s"};
  std::string text;
  const std::size_t count = 1 + random() % levels_max;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += '/';
    text += wildcards && i + 1 == count && random() % 3 == 0 ? "#" : levels[random() % 5];
  }
  return text.empty() ? "a" : text;
}

void all_topics(std::size_t levels_left, const std::string& head, std::vector<std::string>& into) {
  for (const char* level : {"a", "b", "z", "", "$s"}) {
    const std::string topic = head + level;
    if (!topic.empty()) into.push_back(topic);
    if (levels_left > 1) all_topics(levels_left - 1, topic + "/", into);
  }
}

// Method: "z" stands for all texts that no pattern names, and patterns have at most 3 levels, so
// the topics of 5 levels over these five texts show every difference.
TEST(TopicPattern, CoversExactlyWhenEverySelectedTopicMatches) {
  std::vector<std::string> topics;
  all_topics(5, "", topics);
  std::mt19937 random(7);
  std::size_t covered = 0;
  for (int round = 0; round < 800; ++round) {
    const std::string text = random_filter(random, 3, true);
    const std::string filter = random_filter(random, 3, true);
    const TopicPattern compiled = pattern(text);
    bool expected = true;
    for (const std::string& topic : topics) {
      if (!flow::topic_matches(filter, topic)) continue;
      if (compiled.matches(topic, {})) continue;
      expected = false;
      break;
    }
    EXPECT_EQ(compiled.covers(filter, {}), expected) << text << " covers " << filter;
    covered += expected ? 1U : 0U;
  }
  EXPECT_GT(covered, 100U);
}

TEST(TopicPattern, MatchesAsTheRouterDoes) {
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    const std::string text = random_filter(random, 4, true);
    const std::string topic = random_filter(random, 4, false);
    EXPECT_EQ(pattern(text).matches(topic, {}), flow::topic_matches(text, topic))
        << text << " " << topic;
  }
}

TEST(TopicPattern, RefusesWhatIsNoPattern) {
  for (const std::string& text :
       {std::string(), std::string("a+"), std::string("a/#/b"), std::string("a#"), std::string("%"),
        std::string("a/%x"), std::string("a/%"), std::string("a\0b", 3), std::string("$share/g/a"),
        std::string(2000, 'a')}) {
    EXPECT_FALSE(TopicPattern::compile(text)) << text;
  }
}

}  // namespace
}  // namespace tocsin::auth
