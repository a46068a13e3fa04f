#include "cli/bench/svg.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::cli::bench {
namespace {

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

// Goal: each series has its two lines and a mark a point, in the order of the rates; names cannot
// break the file.
TEST(BenchSvg, DrawsSeries) {
  const std::string text = to_svg(
      {.title = "a < b & c",
       .goal_us = 1000,
       .series = {{"one", {{2000, 60, 900, true}, {1000, 50, 100, true}, {4000, 90, 5000, false}}},
                  {"two", {{100, 5, 6, true}}}}});
  EXPECT_EQ(count(text, "<polyline"), 4U);
  EXPECT_EQ(count(text, "<circle"), 4U);
  EXPECT_EQ(count(text, "fill=\"white\"/>"), 2U);  // The background, and what broke the goal.
  EXPECT_NE(text.find("a &lt; b &amp; c"), text.npos);
  EXPECT_TRUE(text.ends_with("</svg>\n"));
  // Rates of 10^2 to 10^4 span 580 pixels from 80 on: 1000 lies in the middle.
  EXPECT_NE(text.find("points=\"370.0,"), text.npos);
}

// Goal: what has no logarithm is left out; nothing at all is a picture, too.
TEST(BenchSvg, LeavesOutWhatCannotBeDrawn) {
  const std::string text =
      to_svg({.title = "t", .series = {{"none", {{0, 1, 1, true}, {5, 0, 0, true}}}}});
  EXPECT_EQ(count(text, "<circle"), 0U);
  EXPECT_EQ(count(text, "nan"), 0U);
  EXPECT_EQ(count(to_svg({}), "nan"), 0U);
}

}  // namespace
}  // namespace tocsin::cli::bench
