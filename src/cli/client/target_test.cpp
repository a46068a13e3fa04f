#include "cli/client/target.hpp"

#include <gtest/gtest.h>

namespace tocsin::cli {
namespace {

// Goal: every way to name a listener that the help mentions is understood.
TEST(Target, UnderstandsHostAndPort) {
  const std::pair<std::string_view, Target> cases[] = {
      {"localhost:81", {"localhost", 81}},
      {"localhost", {"localhost", 8080}},
      {":1883", {"127.0.0.1", 1883}},
      {"[::1]:65535", {"::1", 65535}},
      {"[::1]", {"::1", 8080}},
      {"http://example.com:80/", {"example.com", 80}},
      {"mqtt://10.0.0.1", {"10.0.0.1", 8080}},
  };
  for (const auto& [text, wanted] : cases) {
    const auto target = parse_target(text, 8080);
    ASSERT_TRUE(target) << text << ": " << target.error();
    EXPECT_EQ(*target, wanted) << text;
  }
}

// Goal: what cannot be meant is refused with a sentence that quotes it.
TEST(Target, RefusesNonsense) {
  for (const std::string_view text :
       {"", "host:", "host:0", "host:65536", "host:80x", "host:-1", "::1:80", "[::1:80", "[]:80",
        "[::1]80", "https://host:80", "host:80/path", "user@host:80", "two words:80", "http://"}) {
    const auto target = parse_target(text, 8080);
    ASSERT_FALSE(target) << text;
    EXPECT_NE(target.error().find(text), std::string::npos) << target.error();
  }
}

TEST(Target, WritesBracketsWhereNeeded) {
  EXPECT_EQ(to_string(Target{"::1", 80}), "[::1]:80");
  EXPECT_EQ(to_string(Target{"localhost", 80}), "localhost:80");
}

TEST(Target, ResolvesAddressesWithoutAskingAnybody) {
  const auto endpoints = resolve({"127.0.0.1", 1883});
  ASSERT_TRUE(endpoints);
  ASSERT_EQ(endpoints->size(), 1U);
  EXPECT_EQ(io::to_string(endpoints->front()), "127.0.0.1:1883");
}

}  // namespace
}  // namespace tocsin::cli
