// Goal: what no event source takes is a message for subscribers where that is asked for, and only
// there; it is stored as it was sent, with what subscribers get beside it.
#include <gtest/gtest.h>

#include <string>

#include "flow/route_info.hpp"
#include "stages/decode/decode_stage.hpp"
#include "stages/decode/test_rig.hpp"

namespace tocsin::decode {
namespace {

using flow::Envelope;
using test::Padded;

struct UnmatchedTest : ::testing::Test {
  std::string verdict(Envelope envelope, std::string_view text, std::string_view topic,
                      bool as_message) {
    const Padded payload{text};
    const auto outcome = rig.stage.add({.envelope = envelope,
                                        .payload = payload.view(),
                                        .content_type = {},
                                        .topic = topic,
                                        .attributes = {},
                                        .traceparent = {},
                                        .level = {},
                                        .message = &message,
                                        .message_if_unmatched = as_message},
                                       {});
    return outcome ? "ok" : std::string(to_string(outcome.error().reason));
  }
  test::Rig rig;
  flow::MqttMessage message{.qos = 1, .retain = true, .properties = {}, .publisher = "me"};
};

TEST_F(UnmatchedTest, BecomesAMessage) {
  EXPECT_EQ(verdict(Envelope::device, "not json", "no/source", false), "unknown_source");
  // Twice: what is remembered of a topic must not take it for an event's.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(verdict(Envelope::device, "not json", "no/source", true), "ok");
  }
  EXPECT_EQ(verdict(Envelope::device, "not json", "fast/1", true), "json_syntax");
  EXPECT_EQ(verdict(Envelope::device, "{}", "asleep/1", true), "inactive_source");
  rig.stage.drain();
  rig.loop.turn();
  ASSERT_EQ(rig.sink.batches.size(), 1U);
  const flow::Batch& batch = *rig.sink.batches.front();
  ASSERT_EQ(batch.size(), 2U);
  EXPECT_NE(batch.routes() & flow::mqtt_retain_bit, 0);
  const RecordView record = batch.view().record(1);
  EXPECT_EQ(record.payload(), "not json");
  EXPECT_NE(record.header().flags & record_flag::message, 0);
  const flow::RouteInfo info = flow::route_info(record);
  EXPECT_EQ(info.topic, "no/source");
  EXPECT_EQ(info.qos, 1);
  EXPECT_TRUE(info.retain);
  EXPECT_EQ(info.publisher, "me");
}

// Goal: nobody waits for the disk over a QoS 0 message, unless it is retained.
TEST_F(UnmatchedTest, Level) {
  message = {.qos = 0, .retain = false, .properties = {}, .publisher = {}};
  EXPECT_EQ(verdict(Envelope::device, "x", "no/source", true), "ok");
  message.retain = true;
  EXPECT_EQ(verdict(Envelope::device, "x", "no/source", true), "ok");
  rig.stage.drain();
  rig.loop.turn();
  ASSERT_EQ(rig.sink.batches.size(), 2U);
  for (const flow::Batch* const batch : rig.sink.batches) {
    const bool retained = flow::route_info(batch->view().record(0)).retain;
    EXPECT_EQ(batch->level(), retained ? Level::stored : Level::accepted);
  }
}

}  // namespace
}  // namespace tocsin::decode
