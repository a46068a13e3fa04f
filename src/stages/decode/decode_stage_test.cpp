// Goal: every envelope becomes the record it should, every bad one is refused with its reason, and
// the steady state allocates nothing.
#include "stages/decode/decode_stage.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/hash.hpp"
#include "stages/decode/allocation_count.hpp"
#include "stages/decode/test_rig.hpp"

namespace tocsin::decode {
namespace {

using flow::Envelope;
using flow::Refusal;
using test::Padded;

class DecodeTest : public ::testing::Test {
 protected:
  DecodeStage::Outcome add(Envelope envelope, std::string_view text, std::string_view topic = {},
                           std::span<const flow::Field> fields = {}) {
    payload_ = Padded(text);
    return rig_.stage.add({.envelope = envelope,
                           .payload = payload_.view(),
                           .content_type = content_type_,
                           .topic = topic,
                           .attributes = fields,
                           .traceparent = hop_,
                           .level = {}},
                          {});
  }
  std::string verdict(Envelope envelope, std::string_view text, std::string_view topic = {},
                      std::span<const flow::Field> fields = {}) {
    const auto outcome = add(envelope, text, topic, fields);
    return outcome ? "ok" : std::string(to_string(outcome.error().reason));
  }
  // The newest record.
  RecordView last() {
    rig_.stage.drain();
    rig_.loop.turn();
    EXPECT_FALSE(rig_.sink.batches.empty());
    const auto block = rig_.sink.batches.back()->view();
    return block.record(block.size() - 1);
  }
  static std::string event(std::string_view members) {
    return R"({"specversion":"1.0","id":"7","source":"/s","type":"order_created")" +
           std::string(members) + '}';
  }

  test::Rig rig_;
  Padded payload_{""};
  std::string content_type_;
  std::string hop_;
};

TEST_F(DecodeTest, DevicePublishTakesEverythingFromTheTopic) {
  const std::array<flow::Field, 2> fields{{{"clientid", "c1"}, {"partitionkey", "k"}}};
  const auto outcome =
      add(Envelope::device, " {\"t\":21.5}\n", "devices/d7/telemetry/room", fields);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->type, "device_telemetry");
  const RecordView record = last();
  EXPECT_EQ(record.payload(), " {\"t\":21.5}\n") << "exactly as sent";
  EXPECT_EQ(record.attribute(AttributeTag::source), "devices/d7/telemetry/room");
  EXPECT_EQ(record.attribute(AttributeTag::event_source), "telemetry");
  EXPECT_EQ(record.attribute(AttributeTag::type), "device_telemetry");
  EXPECT_EQ(record.attribute(AttributeTag::subject), "d7");
  EXPECT_EQ(record.extension("device"), "d7");
  EXPECT_EQ(record.extension("kind"), "room");
  EXPECT_EQ(record.extension("clientid"), "c1");
  EXPECT_EQ(record.attribute(AttributeTag::partition_key), "k");
  EXPECT_EQ(record.header().partition_hash, static_cast<std::uint32_t>(hash64("k")));
  EXPECT_EQ(record.header().priority, Priority::high);
  EXPECT_EQ(record.header().producer_time_us, producer_time_absent);
  EXPECT_EQ(record.header().id, outcome->id);
}

TEST_F(DecodeTest, ApiShapeOfTheDocuments) {
  const auto outcome = add(Envelope::api, R"({"event":"order_created","payload":{"id": 444}})");
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->data, R"({"id": 444})");
  const RecordView record = last();
  EXPECT_EQ(record.payload(), R"({"id": 444})");
  EXPECT_EQ(record.attribute(AttributeTag::type), "order_created");
  EXPECT_EQ(record.header().severity, Severity::warning);
  EXPECT_EQ(record.header().partition_hash, static_cast<std::uint32_t>(hash64("order_created")));
}

TEST_F(DecodeTest, ApiAliasesAndOptionalMembers) {
  const std::string_view text =
      R"({"eventId":"e-1","eventType":"order_created","source":"orders-service",)"
      R"("timestamp":"2024-01-02T03:04:05.678Z","data":[1],"severity":"CRITICAL",)"
      R"("priority":"urgent","subject":"a\u0062c","aggregateType":"order","aggregate_id":9,)"
      R"("metadata":{ "a":
 1},"actorId":"u1","unknown":{"x":1}})";
  ASSERT_TRUE(add(Envelope::api, text).has_value());
  const RecordView record = last();
  EXPECT_EQ(record.payload(), "[1]");
  EXPECT_EQ(record.attribute(AttributeTag::producer_id), "e-1");
  EXPECT_EQ(record.attribute(AttributeTag::source), "orders-service");
  EXPECT_EQ(record.attribute(AttributeTag::subject), "abc");
  EXPECT_EQ(record.attribute(AttributeTag::aggregate_type), "order");
  EXPECT_EQ(record.attribute(AttributeTag::aggregate_id), "9");
  EXPECT_EQ(record.extension("metadata"), R"({ "a": 1})");
  EXPECT_EQ(record.extension("actorid"), "u1");
  EXPECT_EQ(record.header().producer_time_us, 1'704'164'645'678'000);
  EXPECT_EQ(record.header().severity, Severity::critical);
  EXPECT_EQ(record.header().priority, Priority::urgent);
  EXPECT_EQ(record.header().partition_hash, static_cast<std::uint32_t>(hash64("abc")));
}

TEST_F(DecodeTest, CloudEventsStructuredAlsoOnTheApi) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  hop_ = "00-11111111111111111111111111111111-b7ad6b7169203331-01";
  const std::string text =
      event(R"(,"time":"1985-04-12T23:20:50.52-01:00","data":{"x":1},"subject":null,"n":5,)"
            R"("partitionkey":"p","severitytext":"ERROR","priority":3,"traceparent":")" +
            trace + '"');
  ASSERT_TRUE(add(Envelope::api, text).has_value());
  const RecordView record = last();
  EXPECT_EQ(record.payload(), R"({"x":1})");
  EXPECT_EQ(record.attribute(AttributeTag::producer_id), "7");
  EXPECT_EQ(record.attribute(AttributeTag::source), "/s");
  EXPECT_EQ(record.attribute(AttributeTag::subject), "");
  EXPECT_EQ(record.attribute(AttributeTag::partition_key), "p");
  EXPECT_EQ(record.attribute(AttributeTag::traceparent), trace) << "the event's, not the hop's";
  EXPECT_EQ(record.extension("n"), "5");
  EXPECT_EQ(record.extension("priority"), "3") << "not one of ours: kept";
  EXPECT_EQ(record.header().severity, Severity::error);
  EXPECT_EQ(record.header().producer_time_us, 482'199'650'520'000);
}

TEST(EventDraft, TakesOnlyAWellFormedTraceparent) {
  EventDraft draft;
  const auto kept = [&](std::string_view text) {
    draft.reset();
    draft.set_traceparent(text);
    return draft.get(AttributeTag::traceparent);
  };
  const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  for (const std::string& taken : {good, "01" + good.substr(2) + "-x"}) {
    EXPECT_EQ(kept(taken), taken);
  }
  for (const std::string& ignored :
       {good + "-x", "ff" + good.substr(2), good.substr(1), good.substr(0, 54), std::string("00-x"),
        "01" + good.substr(2) + "x", "01" + good.substr(2) + "-\n",
        std::string("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")}) {
    EXPECT_EQ(kept(ignored), "") << ignored;
  }
}

TEST_F(DecodeTest, CloudEventsDataForms) {
  ASSERT_TRUE(add(Envelope::cloudevents, event(R"(,"data_base64":"AAEC\/w==")")).has_value());
  EXPECT_EQ(last().payload(), std::string_view("\x00\x01\x02\xFF", 4));
  EXPECT_EQ(last().header().flags & record_flag::binary_payload, record_flag::binary_payload);
}

TEST_F(DecodeTest, CloudEventsWithoutDataHoldNull) {
  ASSERT_TRUE(add(Envelope::cloudevents, event("")).has_value());
  EXPECT_EQ(last().payload(), "null");
  EXPECT_EQ(last().header().flags & record_flag::binary_payload, 0);
}

TEST_F(DecodeTest, CloudEventsFindTheirSourceByDeclaredType) {
  const std::array<flow::Field, 5> fields{{{"specversion", "1.0"},
                                           {"id", "1"},
                                           {"source", "/x"},
                                           {"type", "com.example.sale"},
                                           {"colour", "red"}}};
  content_type_ = "application/json; charset=utf-8";
  ASSERT_TRUE(add(Envelope::cloudevents_binary, "{\"a\":1}", {}, fields).has_value());
  const RecordView record = last();
  EXPECT_EQ(record.attribute(AttributeTag::event_source), "shop");
  EXPECT_EQ(record.attribute(AttributeTag::type), "com.example.sale");
  EXPECT_EQ(record.attribute(AttributeTag::content_type), content_type_);
  EXPECT_EQ(record.extension("colour"), "red");
  EXPECT_EQ(record.payload(), "{\"a\":1}");
}

TEST_F(DecodeTest, CloudEventsBinaryWithOpaquePayload) {
  const std::array<flow::Field, 4> fields{
      {{"specversion", "1.0"}, {"id", "1"}, {"source", "/x"}, {"type", "order_created"}}};
  // In a string: elsewhere it depends on the JSON kernel whether encoding or grammar is named.
  EXPECT_EQ(verdict(Envelope::cloudevents_binary, "\"\xFF\"", {}, fields), "json_utf8");
  content_type_ = "image/png";
  ASSERT_TRUE(add(Envelope::cloudevents_binary, "\xFF{", {}, fields).has_value());
  EXPECT_EQ(last().payload(), "\xFF{");
  EXPECT_EQ(last().header().flags & record_flag::binary_payload, record_flag::binary_payload);
}

TEST_F(DecodeTest, EveryRefusalHasItsReason) {
  const std::string_view topic = "devices/d/telemetry/k";
  const auto device = [&](std::string_view text) { return verdict(Envelope::device, text, topic); };
  EXPECT_EQ(device(""), "empty");
  EXPECT_EQ(device("  "), "empty");
  EXPECT_EQ(device("{"), "json_syntax");
  EXPECT_EQ(device("{} {}"), "json_syntax");
  EXPECT_EQ(device("\xEF\xBB\xBF{}"), "json_syntax");
  EXPECT_EQ(device("\"\xC3\x28\""), "json_utf8");
  EXPECT_EQ(device("[1e400]"), "json_number");
  EXPECT_EQ(device(std::string(70, '[') + '1' + std::string(70, ']')), "json_depth");
  EXPECT_EQ(device('"' + std::string(256 * 1024, 'x') + '"'), "too_large");
  EXPECT_EQ(verdict(Envelope::device, "1", "nobody/here"), "unknown_source");
  EXPECT_EQ(verdict(Envelope::device, "1", "asleep/1"), "inactive_source");
  EXPECT_EQ(verdict(Envelope::device, "1", "a/+"), "topic");
  EXPECT_EQ(verdict(Envelope::device, "1", "notifications/x"), "topic");
  EXPECT_EQ(verdict(Envelope::device, "1", "devices/a\nb/telemetry/k"), "envelope");
  EXPECT_EQ(verdict(Envelope::device, "1", "devices/" + std::string(1100, 'x') + "/telemetry/k"),
            "attribute_size");
  EXPECT_EQ(verdict(Envelope::api, R"({"event":"nobody","payload":1})"), "unknown_source");
  EXPECT_EQ(verdict(Envelope::api, R"({"event":"asleep","payload":1})"), "inactive_source");
  for (const char* text : {"[]", "7", R"({"payload":1})", R"({"event":"order_created"})",
                           R"({"event":{},"payload":1})",
                           R"({"event":"order_created","payload":1,"timestamp":"yesterday"})",
                           R"({"event":"order_created","payload":1,"severity":"bad"})",
                           R"({"event":"order_created","payload":1,"subject":"a\u0000"})"}) {
    EXPECT_EQ(verdict(Envelope::api, text), "envelope") << text;
  }
  content_type_ = "text/plain";
  EXPECT_EQ(verdict(Envelope::api, R"({"event":"order_created","payload":1})"), "content_type");
}

TEST_F(DecodeTest, CloudEventsRefusals) {
  const auto structured = [&](std::string_view text) {
    return verdict(Envelope::cloudevents, text);
  };
  for (const char* text :
       {R"({"id":"1","source":"/s","type":"order_created"})",
        R"({"specversion":"0.3","id":"1","source":"/s","type":"order_created"})",
        R"({"specversion":"1.0","source":"/s","type":"order_created"})",
        R"({"specversion":"1.0","id":"1","type":"order_created"})",
        R"({"specversion":"1.0","id":"1","source":"/s"})",
        R"({"specversion":"1.0","id":"","source":"/s","type":"order_created"})",
        R"({"specversion":"1.0","id":1,"source":"/s","type":"order_created"})"}) {
    EXPECT_EQ(structured(text), "envelope") << text;
  }
  EXPECT_EQ(structured(event(R"(,"data":1,"data_base64":"AA==")")), "envelope");
  EXPECT_EQ(structured(event(R"(,"data_base64":"A")")), "envelope");
  EXPECT_EQ(structured(event(R"(,"data_base64":"AA==A")")), "envelope");
  EXPECT_EQ(structured(event(R"(,"Upper":"x")")), "envelope");
  EXPECT_EQ(structured(event(R"(,"time":"2024-02-30T00:00:00Z")")), "envelope");
  EXPECT_EQ(structured(event(R"(,"x":[])")), "envelope");
  std::string many;
  for (int i = 0; i < 33; ++i) many += ",\"x" + std::to_string(i) + "\":1";
  EXPECT_EQ(structured(event(many)), "attribute_size");
  std::string large;
  for (int i = 0; i < 10; ++i) {
    large += ",\"x" + std::to_string(i) + "\":\"" + std::string(1000, 'v') + '"';
  }
  EXPECT_EQ(structured(event(large)), "attribute_size");
}

TEST_F(DecodeTest, DrainingRefuses) {
  rig_.stage.drain();
  EXPECT_EQ(verdict(Envelope::device, "1", "fast/1"), "shutting_down");
}

// Method: the same events again and again; after the first rounds nothing may call operator new.
TEST_F(DecodeTest, SteadyStateAllocatesNothing) {
  if (!test::allocations_are_counted()) GTEST_SKIP() << "a sanitizer owns operator new";
  const Padded device(R"({"t":21.5,"s":"a\nb"})");
  const Padded number("21.5");
  const Padded api(R"({"event":"order_created","payload":{"id":4},"subject":"\u0041"})");
  const Padded cloud(event(R"(,"data":{"x":[1,2,3]},"colour":"red")"));
  const std::array<flow::Field, 4> fields{
      {{"specversion", "1.0"}, {"id", "1"}, {"source", "/x"}, {"type", "order_created"}}};
  std::uint64_t allocations = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t before = test::allocation_count();
    const auto add_raw = [&](Envelope envelope, const Padded& text, std::string_view topic) {
      flow::RawEvent raw;
      raw.envelope = envelope;
      raw.payload = text.view();
      raw.topic = topic;
      raw.attributes = envelope == Envelope::cloudevents_binary ? std::span{fields}
                                                                : std::span<const flow::Field>{};
      ASSERT_TRUE(rig_.stage.add(raw, {}).has_value());
    };
    add_raw(Envelope::device, device, "devices/d1/telemetry/room");
    add_raw(Envelope::device, number, "devices/d1/telemetry/room");
    add_raw(Envelope::api, api, {});
    add_raw(Envelope::cloudevents, cloud, {});
    add_raw(Envelope::cloudevents_binary, device, {});
    if (round > 0) allocations += test::allocation_count() - before;
    rig_.loop.turn();
    while (!rig_.sink.batches.empty()) rig_.commit();
    rig_.loop.turn();
  }
  EXPECT_EQ(allocations, 0U);
}

TEST_F(DecodeTest, MetricsAddUp) {
  struct Sink final : MetricSink {
    std::map<std::string, std::uint64_t> counters;
    void counter(std::string_view name, std::string_view, Labels, std::uint64_t value) override {
      counters[std::string(name)] += value;
    }
    void gauge(std::string_view, std::string_view, Labels, double) override {}
    void histogram(std::string_view, std::string_view, Labels, const Histogram&) override {}
  } sink;
  (void)verdict(Envelope::device, "1", "fast/1");
  (void)verdict(Envelope::device, "{", "fast/1");
  (void)verdict(Envelope::device, "1", "nobody");
  rig_.stage.describe(sink);
  EXPECT_EQ(sink.counters["tocsin_events_received_total"], 3U);
  EXPECT_EQ(sink.counters["tocsin_events_decoded_total"], 1U);
  EXPECT_EQ(sink.counters["tocsin_events_refused_total"], 2U);
}

}  // namespace
}  // namespace tocsin::decode
