#include "flow/sources.hpp"

#include <gtest/gtest.h>

namespace tocsin::flow {
namespace {

SourceConfig source(std::string name, std::string topic) {
  SourceConfig s;
  s.name = std::move(name);
  s.topic = std::move(topic);
  return s;
}

TEST(Topics, MatchAsSection47Says) {
  EXPECT_TRUE(topic_matches("a/+/c", "a/b/c"));
  EXPECT_FALSE(topic_matches("a/+", "a/b/c"));
  EXPECT_TRUE(topic_matches("a/#", "a"));
  EXPECT_TRUE(topic_matches("a/#", "a/b/c"));
  EXPECT_TRUE(topic_matches("#", "a/b"));
  EXPECT_FALSE(topic_matches("#", "$SYS/x"));
  EXPECT_FALSE(topic_matches("+/x", "$SYS/x"));
  EXPECT_TRUE(topic_matches("+/+", "/finance"));
  EXPECT_FALSE(topic_matches("+", "/finance"));
  EXPECT_FALSE(topic_matches("a/b", "a"));
}

TEST(Topics, FiltersAreChecked) {
  EXPECT_TRUE(topic_filter_valid("a/+/#"));
  EXPECT_FALSE(topic_filter_valid(""));
  EXPECT_FALSE(topic_filter_valid("a/#/b"));
  EXPECT_FALSE(topic_filter_valid("a+/b"));
  EXPECT_FALSE(topic_name_valid("a/+"));
  EXPECT_FALSE(topic_name_valid(std::string_view("a\0b", 3)));
}

TEST(Topics, OverlapFindsLoops) {
  EXPECT_TRUE(topic_filters_overlap("alerts/+", "alerts/#"));
  EXPECT_TRUE(topic_filters_overlap("+/b", "a/+"));
  EXPECT_FALSE(topic_filters_overlap("a/b", "a/c"));
  EXPECT_FALSE(topic_filters_overlap("a", "a/b"));
  EXPECT_TRUE(topic_filters_overlap("a/#", "a"));
}

TEST(SourceTable, CapturesLevels) {
  const auto table = SourceTable::build({source("t", "devices/{device}/telemetry")});
  ASSERT_TRUE(table.has_value());
  const auto match = (*table)->match_topic("devices/d7/telemetry");
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->source->name, "t");
  ASSERT_EQ(match->capture_count, 1U);
  EXPECT_EQ(match->captures[0].name, "device");
  EXPECT_EQ(match->captures[0].value, "d7");
  EXPECT_FALSE((*table)->match_topic("devices/d7/telemetry/x").has_value());
  EXPECT_FALSE((*table)->match_topic("devices/d7").has_value());
}

TEST(SourceTable, RefusesDuplicatesAndBadFilters) {
  EXPECT_FALSE(SourceTable::build({source("a", ""), source("a", "")}).has_value());
  EXPECT_FALSE(SourceTable::build({source("a", "x/#/y")}).has_value());
}

TEST(SourceTable, OpenEndMatchesTheParentToo) {
  const auto table = SourceTable::build({source("all", "site/#")});
  ASSERT_TRUE(table.has_value());
  EXPECT_TRUE((*table)->match_topic("site").has_value());
  EXPECT_TRUE((*table)->match_topic("site/a/b").has_value());
  EXPECT_FALSE((*table)->match_topic("sites").has_value());
}

}  // namespace
}  // namespace tocsin::flow
