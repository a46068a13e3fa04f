#include "cli/bench/payload.hpp"

#include <gtest/gtest.h>

namespace tocsin::cli::bench {
namespace {

constexpr MonoTime sent{Duration{1234}};

std::string filled(const Template& pattern, std::uint64_t sequence, MonoTime time) {
  std::string text = pattern.text;
  Stamps(sequence).fill(text, pattern, time);
  return text;
}

// Goal: slots get numbers of a fixed width; nothing else changes.
TEST(BenchPayload, FillsSlotsInPlace) {
  const Template pattern = make_template(R"({"a":{seq},"b":{sent_ns},"c":{"seq":1},"d":"{n}"})");
  EXPECT_EQ(filled(pattern, 7, sent),
            R"({"a":1000000007,"b":1000000000000001234,"c":{"seq":1},"d":"{n}"})");
}

// Goal: slots keep their places when templates are joined, and each event of a batch has a number
// of its own.
TEST(BenchPayload, JoinsTemplates) {
  Template whole;
  whole.text = "head ";
  append_template(whole, make_template("[{seq}]"));
  append_template(whole, make_template("[{seq}]"));
  EXPECT_EQ(filled(whole, 41, sent), "head [1000000041][1000000042]");
}

// Goal: the sequence never outgrows its ten digits.
TEST(BenchPayload, SequenceWrapsWithinItsWidth) {
  const Template pattern = make_template("{seq}");
  EXPECT_EQ(filled(pattern, 8'999'999'999, sent), "9999999999");
  EXPECT_EQ(filled(pattern, 9'000'000'000, sent), "1000000000");
}

TEST(BenchPayload, ReadsOneTemplateALine) {
  const auto templates = make_templates("{\"a\":1}\r\n\n{\"b\":{seq}}\n{\"c\":3}");
  ASSERT_EQ(templates.size(), 3U);
  EXPECT_EQ(templates[0].text, "{\"a\":1}");
  EXPECT_EQ(templates[1].slots.size(), 1U);
  EXPECT_EQ(templates[2].text, "{\"c\":3}");
  EXPECT_TRUE(make_templates("\n\n").empty());
}

// Goal: numbers run on from event to event, with carries, and a new time replaces the old one.
TEST(BenchPayload, StampsRunOn) {
  const Template pattern = make_template("{seq}{sent_ns}");
  Stamps stamps(98);
  std::string text = pattern.text;
  stamps.fill(text, pattern, sent);
  EXPECT_EQ(text, "10000000981000000000000001234");
  stamps.fill(text, pattern, sent);
  EXPECT_EQ(text, "10000000991000000000000001234");
  stamps.fill(text, pattern, MonoTime{Duration{77}});
  EXPECT_EQ(text, "10000001001000000000000000077");
}

// Goal: the running number goes on from its last one to its first one.
TEST(BenchPayload, StampsWrap) {
  const Template pattern = make_template("{seq}{seq}");
  EXPECT_EQ(filled(pattern, 8'999'999'999, sent), "99999999991000000000");
}

// Goal: sending times are found however a notification wraps them, and impostors are passed over.
TEST(BenchPayload, FindsSendingTimes) {
  const std::string message =
      R"([{"sent_ns":1000000000000001234},{"body":"{\"sent_ns\": 1000000000000005678}"},)"
      R"({"sent_ns":"x"},{"sent_ns":12},{"sent_ns)";
  std::vector<MonoTime> found;
  for_each_sent(message, [&](MonoTime time) { found.push_back(time); });
  EXPECT_EQ(found, (std::vector{sent, MonoTime{Duration{5678}}}));
}

TEST(BenchPayload, NumbersTopics) {
  EXPECT_EQ(number_topic("devices/{n}/x/{n}", 12), "devices/12/x/12");
  EXPECT_EQ(number_topic("fixed", 12), "fixed");
}

}  // namespace
}  // namespace tocsin::cli::bench
