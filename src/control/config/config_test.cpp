#include "control/config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tocsin::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What every text below needs so that only its own mistake is reported. Two lines.
constexpr std::string_view console = "[[channel]]\nname = \"console\"\ntype = \"log\"\n";

std::string report(std::string_view text) {
  const auto parsed = parse(text, "t.toml");
  std::string lines;
  if (!parsed) {
    for (const Diagnostic& problem : parsed.error()) lines += to_string(problem) + "\n";
  }
  return lines;
}

std::string report_after_console(std::string_view text) {
  return report(std::string(console) + std::string(text));
}

TEST(Config, TheEmbeddedDefaultsAreACorrectConfiguration) {
  EXPECT_EQ(report(embedded_defaults()), "");
  const auto config = parse(embedded_defaults(), "embedded");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->sources.size(), 2U);
  EXPECT_EQ(config->rules.size(), 2U);
  EXPECT_EQ(config->rules[0].pattern, R"({"temperature":[{"numeric":[">",80]}]})");
}

TEST(Config, AnEmptyTextIsAllFallbacks) {
  const auto config = parse("", "t.toml");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->server.number("drain_timeout_ms"), 10'000);
  EXPECT_EQ(config->http.list("listen"), std::vector<std::string>{"127.0.0.1:8080"});
  EXPECT_EQ(config->server.number("event_size_max"), 65'536);
}

// Goal: a key whose unit is milliseconds takes a text and an integer alike.
TEST(Config, DurationsAreTextsOrMilliseconds) {
  for (const char* written : {"\"1m30s\"", "90000", "\"90000ms\"", "\"90s\""}) {
    const auto config = parse(std::string("[server]\ndrain_timeout_ms = ") + written, "t.toml");
    ASSERT_TRUE(config) << written;
    EXPECT_EQ(config->server.number("drain_timeout_ms"), 90'000) << written;
  }
  EXPECT_EQ(report("[server]\ndrain_timeout_ms = \"90\"\n"),
            "t.toml:2: server.drain_timeout_ms: expected a duration such as \"1m30s\"\n");
}

// Goal: what a start would refuse for lack of memory is refused here, whichever of the two keys is
// the one written.
TEST(Config, MemoryThatIsTooSmallForTheThreads) {
  EXPECT_EQ(report("[server]\nthreads = 8\nmemory_max = \"64MiB\"\n")
                .find("t.toml:3: server.memory_max: is too small for 8 threads: at least "),
            0U);
  EXPECT_EQ(report("[server]\nthreads = 64\n")
                .find("t.toml:1: server.memory_max: is too small for 64 threads: at least "),
            0U);
  EXPECT_EQ(report("[server]\nthreads = 8\nmemory_max = \"1GiB\"\n"), "");
}

// Goal: two clients that would take each other's place at a broker are refused; the same id at
// another broker is not.
TEST(Config, AClientIdIsUsedOnceAtABroker) {
  const std::string out = "[[channel]]\nname = \"plant\"\ntype = \"mqtt\"\nbroker = \"mqtt://b\"\n";
  const std::string in = "[[subscription]]\nname = \"plant\"\ntopics = [\"a\"]\n";
  EXPECT_EQ(
      report(out + in + "broker = \"mqtts://B\"\n"),
      "t.toml:5: subscription[0].client_id: \"tocsin-plant\" is also the client id of channel "
      "\"plant\" at this broker\n");
  EXPECT_EQ(report(out + in + "broker = \"mqtt://c\"\n"), "");
  EXPECT_EQ(report(out + in + "broker = \"mqtt://b\"\nclient_id = \"x\"\n"), "");
}

TEST(Config, EachMistakeInATableNamesFileLineAndKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"[server]\nthreads = \"two\"\n", "t.toml:2: server.threads: expected an integer\n"},
      {"[server]\nthreads = 65\n", "t.toml:2: server.threads: must be between 0 and 64\n"},
      {"[server]\nmemory_max = \"1MiB\"\n",
       "t.toml:2: server.memory_max: must be between 24MiB and 64GiB\n"},
      {"[server]\nlog_level = \"loud\"\n",
       "t.toml:2: server.log_level: expected one of debug|info|warning|error\n"},
      {"[server]\ndata = \"\"\n", "t.toml:2: server.data: must not be empty\n"},
      {"[server]\nthreds = 1\n",
       "t.toml:2: server.threds: is not an option; did you mean \"threads\"?\n"},
      {"[http]\nlisten = [1]\n", "t.toml:2: http.listen: expected an array of texts\n"},
      {"[mqtt]\nallow_anonymous = 1\n", "t.toml:2: mqtt.allow_anonymous: expected true or false\n"},
      {"[sever]\n", "t.toml:1: sever: is not a section\n"},
      {"server = 1\n", "t.toml:1: server: write it as [server]\n"},
      {"[rule]\nname = \"x\"\n", "t.toml:1: rule: write it as [[rule]]\n"},
      {"\n[[source]]\ntopic = \"a\"\n", "t.toml:2: source[0].name: is missing\n"},
      {"[[source]]\nname = \"a\"\n[[source]]\nname = \"a\"\n",
       "t.toml:4: source[1].name: \"a\" is used twice\n"},
      {"[[channel]]\nname = \"c\"\ntype = \"pigeon\"\n",
       "t.toml:3: channel[0].type: expected one of log, mqtt, webhook\n"},
      {"[[channel]]\nname = \"c\"\n", "t.toml:1: channel[0].type: is missing\n"},
      {"[[channel]]\nname = \"c\"\ntype = \"log\"\nqueue_mx = 1\n",
       "t.toml:4: channel[0].queue_mx: is not an option; did you mean \"queue_max\"?\n"},
      {"[[subscription]]\nname = \"s\"\nbroker = \"mqtt://b\"\ntopics = []\n",
       "t.toml:4: subscription[0].topics: needs at least 1\n"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(report(text), expected) << text;
}

TEST(Config, WhatDoesNotFitTogetherNamesFileLineAndKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[rule]]\nname = \"r\"\nsource = \"nowhere\"\nchannel = \"console\"\n",
       "t.toml:6: rule[0].source: there is no source \"nowhere\"\n"},
      {"[[rule]]\nname = \"r\"\nchannel = \"nowhere\"\n",
       "t.toml:6: rule[0].channel: there is no channel \"nowhere\"\n"},
      {"[[rule]]\nname = \"r\"\nchannel = \"console\"\npattern = { t = [{ nmeric = [\">\", 1] }] "
       "}\n",
       "t.toml:7: rule[0].pattern: "},
      {"[[rule]]\nname = \"r\"\nchannel = \"console\"\npattern = '{\"a\":'\n",
       "t.toml:7: rule[0].pattern: "},
      {"[[rule]]\nname = \"r\"\nchannel = \"console\"\nsubject = \"{{open\"\n",
       "t.toml:7: rule[0].subject: "},
      {"[[rule]]\nname = \"r\"\nchannel = \"console\"\nbody = \"{{#each x}}\"\n",
       "t.toml:7: rule[0].body: "},
      {"[[source]]\nname = \"s\"\ntopic = \"a/b#\"\n", "t.toml:6: source[0].topic: "},
      {"[[source]]\nname = \"s\"\ntopic = \"notifications/x\"\n", "t.toml:6: source[0].topic: "},
      {"[http]\nlisten = \"0.0.0.0:8080\"\n", "t.toml:5: http.listen: "},
      {"[mqtt]\nlisten = \"0.0.0.0:1883\"\n", "t.toml:5: mqtt.listen: "},
      {"[server]\negress_allow = [\"10.0.0.0/99\"]\n",
       "t.toml:5: server.egress_allow: \"10.0.0.0/99\" is not a network\n"},
      {"[[channel]]\nname = \"w\"\ntype = \"webhook\"\nurl = \"http://example.com/\"\n",
       "t.toml:4: channel[1]: "},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(report_after_console(text), HasSubstr(expected)) << text;
  }
}

TEST(Config, AListenerBeyondLoopbackNeedsItsConsent) {
  EXPECT_EQ(report("[http]\nlisten = \"0.0.0.0:8080\"\nallow_anonymous = true\n"
                   "[mqtt]\nlisten = \"0.0.0.0:1883\"\nallow_anonymous = true\n"),
            "");
}

TEST(Config, ALoopThroughABrokerIsRefused) {
  constexpr std::string_view text = R"(
[[channel]]
name = "out"
type = "mqtt"
broker = "mqtt://broker.example"
topic = "plant/alarms/{rule}"
[[subscription]]
name = "in"
broker = "mqtt://broker.example"
topics = ["plant/#"]
)";
  EXPECT_THAT(report(text), HasSubstr("t.toml:10: subscription[0].topics: channel \"out\""));
}

// Goal: one mistake never hides another, and never makes a second message.
TEST(Config, AllProblemsAreReportedAtOnceAndEachOnce) {
  constexpr std::string_view text = R"([server]
threads = "two"
[[channel]]
name = "c"
type = "pigeon"
[[source]]
name = "s"
topic = "a/b#"
[[rule]]
name = "r"
channel = "c"
source = "s"
subject = "{{open"
[[rule]]
name = "q"
channel = "missing"
unknown = 1
)";
  const auto parsed = parse(text, "t.toml");
  ASSERT_FALSE(parsed);
  std::vector<std::string> keys;
  for (const Diagnostic& problem : parsed.error()) keys.push_back(problem.key);
  EXPECT_THAT(keys, testing::ElementsAre("server.threads", "channel[0].type", "source[0].topic",
                                         "rule[0].subject", "rule[1].unknown"));
}

TEST(Config, TextThatIsNotTomlNamesTheLine) {
  EXPECT_THAT(report("[server]\nthreads = = 1\n"), HasSubstr("t.toml:2: "));
}

TEST(Config, AFileThatCannotBeReadIsOneSentence) {
  const auto missing = load("/nonexistent/tocsin.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(to_string(missing.error().front()),
            "/nonexistent/tocsin.toml: cannot be read: No such file or directory");
  EXPECT_FALSE(load("/"));
  EXPECT_TRUE(load("/dev/null")) << "an empty file is all fallbacks";
  // Method: a file without an end must not be read for ever.
  EXPECT_FALSE(load("/dev/zero"));
}

}  // namespace
}  // namespace tocsin::config
