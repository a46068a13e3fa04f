// Goal: decode copies a payload once, from where it was received into the batch.
// Method: a payload that is unlike anything else, and a look through all memory afterwards. What
// was freed or lies in a scratch buffer counts too. The payload is an array of short strings,
// because the validator's parser unescapes each string for itself, to check it: words of a payload
// are left in its scratch buffer, never the payload.
#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <string>

#include "stages/decode/memory_scan.hpp"
#include "stages/decode/test_rig.hpp"

namespace tocsin::decode {
namespace {

using flow::Envelope;
using test::copies_in_memory;
using test::Marker;
using test::Padded;

constexpr std::array<flow::Field, 4> cloudevents_headers{
    {{"specversion", "1.0"}, {"id", "1"}, {"source", "/x"}, {"type", "order_created"}}};

struct Shape {
  const char* name;
  Envelope envelope;
  std::string_view before;  // Of the payload, in what is received.
  std::string_view after;
  std::string_view content_type;
};

void PrintTo(const Shape& shape, std::ostream* to) { *to << shape.name; }

constexpr std::array shapes{
    Shape{"device", Envelope::device, "", "", ""},
    Shape{"api", Envelope::api, R"({"event":"order_created","payload":)", "}", "application/json"},
    Shape{"cloudevents_structured", Envelope::cloudevents,
          R"({"specversion":"1.0","id":"7","source":"/s","type":"order_created","data":)", "}", ""},
    Shape{"cloudevents_binary", Envelope::cloudevents_binary, "", "", "application/json"},
    Shape{"cloudevents_binary_opaque", Envelope::cloudevents_binary, "", "", "image/png"},
};

class OneCopy : public ::testing::TestWithParam<Shape> {};

TEST_P(OneCopy, FromTheInputToTheBatch) {
  const Shape& shape = GetParam();
  const Marker marker;
  // The marker is written to its place in the input, so that building the input leaves no copy.
  const std::size_t at = shape.before.size() + 1;
  Padded input(std::string(shape.before) + '[' + std::string(Marker::size, ' ') + "0]" +
               std::string(shape.after));
  marker.write(input.bytes.data() + at);
  test::Rig rig;
  ASSERT_EQ(copies_in_memory(marker, input.bytes), 0U);

  const bool binary = shape.envelope == Envelope::cloudevents_binary;
  const auto outcome = rig.stage.add(
      {.envelope = shape.envelope,
       .payload = input.view(),
       .content_type = shape.content_type,
       .topic = shape.envelope == Envelope::device ? "devices/d7/telemetry/room" : "",
       .attributes = binary ? std::span{cloudevents_headers} : std::span<const flow::Field>{},
       .traceparent = {},
       .level = {}},
      {});
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(copies_in_memory(marker, input.bytes), 1U) << "decoded";

  rig.stage.drain();
  rig.loop.turn();
  EXPECT_EQ(copies_in_memory(marker, input.bytes), 1U) << "sealed";
  ASSERT_EQ(rig.sink.batches.size(), 1U);
  const std::string_view payload = rig.sink.batches[0]->view().record(0).payload();
  ASSERT_EQ(payload.size(), Marker::size + 3);
  EXPECT_TRUE(marker.is_at(payload.data() + 1)) << "and this is the copy";
}

INSTANTIATE_TEST_SUITE_P(Envelopes, OneCopy, ::testing::ValuesIn(shapes),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tocsin::decode
