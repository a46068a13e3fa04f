#pragma once
// For tests of payloads that are looked into together: what is taken, what is refused after all,
// and what of it a batch then holds.

#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "stages/decode/test_rig.hpp"
#include "tests/support/known_shapes.hpp"

namespace tocsin::decode::test {

using flow::Refusal;
using flow::Taken;

inline constexpr std::string_view telemetry = "devices/d/telemetry/k";

struct Acks final : flow::AckSink {
  std::vector<std::uint64_t> stored;
  void on_ack(const flow::AckToken& token, bool ok) noexcept override {
    EXPECT_TRUE(ok);
    stored.push_back(token.detail);
  }
};

struct Refusals final : flow::RefusalSink {
  struct One {
    std::uint64_t detail = 0;
    Refusal reason{};
    bool operator==(const One&) const = default;
    friend void PrintTo(const One& one, std::ostream* out) {
      *out << one.detail << ' ' << to_string(one.reason);
    }
  };
  std::vector<One> all;
  std::vector<std::string> texts;
  void on_refused(const flow::AckToken& token, const flow::Rejection& rejection) noexcept override {
    EXPECT_EQ(token.slot, 7U);
    EXPECT_EQ(token.generation, 9U);
    all.push_back({token.detail, rejection.reason});
    texts.emplace_back(rejection.detail);
  }
};

struct Bad {
  std::string text;
  Refusal reason;
};

inline std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

// Each of them could reach into what follows it, if anything but the newline ended it.
inline std::vector<Bad> bad_payloads() {
  return {{"{", Refusal::json_syntax},
          {"[1,", Refusal::json_syntax},
          {"2]", Refusal::json_syntax},
          {"}", Refusal::json_syntax},
          {"\"open", Refusal::json_syntax},
          {"\"", Refusal::json_syntax},
          {"{\"a\":\"b\\\"", Refusal::json_syntax},
          {"{\"a\":1}\\", Refusal::json_syntax},
          {"\"a\\", Refusal::json_syntax},
          {"\\", Refusal::json_syntax},
          {"\"\\x\"", Refusal::json_syntax},
          {"{}{}", Refusal::json_syntax},
          {"1 2", Refusal::json_syntax},
          {"1\n2", Refusal::json_syntax},
          {"01", Refusal::json_syntax},
          {"tru", Refusal::json_syntax},
          {"\"a\nb\"", Refusal::json_syntax},
          {std::string("{}\0", 3), Refusal::json_syntax},
          {"   ", Refusal::empty},
          {"\n", Refusal::empty},
          {"\"\xC3\x28\"", Refusal::json_utf8},
          {"\"\xE2\x82\"", Refusal::json_utf8},
          {"\xFF", Refusal::json_utf8},
          {nested(200), Refusal::json_depth},
          {"1e999", Refusal::json_number},
          {"[18446744073709551616]", Refusal::json_number}};
}

// All valid, some as people write them.
inline std::vector<std::string> good_payloads() {
  return {R"({"v":1})",
          "{\n  \"v\": [\n    1,\r\n    2\n  ]\n}\n",
          "5",
          "-0.25",
          " true ",
          "null",
          R"("a \"quoted\" \\")",
          "[]",
          "{\"deep\":" + nested(60) + "}",
          "12345678901234567890"};
}

class RunTest : public ::testing::Test {
 protected:
  // From here on the topic is known; nothing is left open.
  void learn(std::string_view topic) {
    ASSERT_TRUE(add("{}", 1000, topic).has_value());
    settle();
    forget();
  }
  DecodeStage::Outcome add(std::string_view text, std::uint64_t detail,
                           std::string_view topic = telemetry) {
    const Padded payload(text);
    flow::RawEvent event;
    event.envelope = flow::Envelope::device;
    event.payload = payload.view();
    event.topic = topic;
    return rig_.stage.add(event, {&acks_, 7, 9, detail});
  }
  Taken take(std::string_view text, std::uint64_t detail, std::string_view topic = telemetry,
             bool wanted_ack = true) {
    // Nothing keeps the bytes after the call.
    const Padded payload(text);
    const auto qos = static_cast<std::uint8_t>(wanted_ack ? 1 : 0);
    return rig_.stage.take({.topic = topic, .payload = payload.view(), .qos = qos},
                           {wanted_ack ? &acks_ : nullptr, 7, 9, detail}, refusals_);
  }
  // Ends the turn; what was sealed is checked, kept as text and comes back from the journal.
  void settle() {
    rig_.loop.turn(rig_.loop.now());
    while (!rig_.sink.batches.empty()) {
      read(*rig_.sink.batches.front());
      rig_.commit();
      rig_.loop.turn(rig_.loop.now());
    }
  }
  void read(flow::Batch& batch) {
    batch.assign(1, 1);
    const auto block = flow::BlockView::parse(batch.block());
    ASSERT_TRUE(block.has_value());
    EXPECT_EQ(batch.acks().size(), block->size());
    EXPECT_EQ(tocsin::test::wrong_about(batch), "");
    for (std::uint32_t i = 0; i < block->size(); ++i) {
      EXPECT_TRUE(block->record_intact(i)) << i;
      EXPECT_EQ(block->record(i).attribute(AttributeTag::event_source).empty(), false);
      EXPECT_EQ(block->record(i).payload().end()[0], '\n');
      records_[batch.level()].emplace_back(block->record(i).payload());
    }
  }
  [[nodiscard]] const std::vector<std::string>& stored() { return records_[Level::stored]; }
  void forget() {
    records_.clear();
    refusals_.all.clear();
    refusals_.texts.clear();
    acks_.stored.clear();
  }

  Rig rig_{4};
  Acks acks_;
  Refusals refusals_;
  std::map<Level, std::vector<std::string>> records_;
};

}  // namespace tocsin::decode::test
