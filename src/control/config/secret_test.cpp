// Secrets: where they come from, and that no message holds one.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/config/config.hpp"

namespace tocsin::config {
namespace {

constexpr std::string_view marker = "c2VjcmV0LXZhbHVlLXRoYXQtbm9ib2R5LXNlZXM";
constexpr std::string_view good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

Result<EngineConfig, Diagnostics> webhook(std::string_view rest) {
  return parse(fmt::format("[[channel]]\nname = \"w\"\ntype = \"webhook\"\n"
                           "url = \"https://example.com/\"\n{}\n",
                           rest),
               "t.toml");
}

std::string messages(const Result<EngineConfig, Diagnostics>& parsed) {
  std::string text;
  if (!parsed) {
    for (const Diagnostic& problem : parsed.error()) text += to_string(problem) + "\n";
  }
  return text;
}

TEST(Secret, ComesFromTheTextTheEnvironmentOrAFile) {
  const auto path = std::filesystem::temp_directory_path() /
                    fmt::format("tocsin-secret-{}", static_cast<int>(::getpid()));
  std::ofstream(path) << good << "\n";
  ::setenv("TOCSIN_TEST_SECRET", std::string(good).c_str(), 1);
  for (const std::string& written :
       {fmt::format("secret = \"{}\"", good), std::string("secret = {env=\"TOCSIN_TEST_SECRET\"}"),
        fmt::format("secret = {{ file = \"{}\" }}", path.string())}) {
    const auto parsed = webhook(written);
    ASSERT_TRUE(parsed) << messages(parsed);
    EXPECT_EQ(parsed->channels[0].options.text("secret"), good);
  }
  std::filesystem::remove(path);
  ::unsetenv("TOCSIN_TEST_SECRET");
  EXPECT_EQ(messages(webhook("secret = { env = \"TOCSIN_TEST_SECRET\" }")),
            "t.toml:5: channel[0].secret: environment variable TOCSIN_TEST_SECRET is not set\n");
  EXPECT_EQ(messages(webhook("secret = { file = \"/nonexistent\" }")),
            "t.toml:5: channel[0].secret: the file \"/nonexistent\" cannot be read: "
            "No such file or directory\n");
}

// Method: the marker stands in every kind of wrong secret; no message may repeat it.
TEST(Secret, IsNeverRepeatedInAMessage) {
  const std::string many(5000, 'x');
  for (const std::string& written :
       {fmt::format("secret = \"{}\"", marker), fmt::format("secret = [\"{}\"]", marker),
        fmt::format("secret = {{ text = \"{}\" }}", marker),
        fmt::format("secret = \"whsec_{}!\"", marker),
        fmt::format("secret = \"{}{}\"", marker, many), fmt::format("secret = {}", marker),
        fmt::format("secret = \"{}", marker), fmt::format("secret = \"{}\" x", marker),
        fmt::format("authorization = \"{}\\n\"", marker),
        fmt::format("headers = [\"Authorization {}\"]\nsecret=\"{}\"", "x", marker)}) {
    const auto parsed = webhook(written);
    EXPECT_FALSE(parsed) << written;
    EXPECT_THAT(messages(parsed), testing::Not(testing::HasSubstr(marker.substr(0, 8))));
  }
}

}  // namespace
}  // namespace tocsin::config
