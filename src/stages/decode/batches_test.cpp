// Goal: batches are sealed, acknowledged and returned in order; an exhausted pool stops intake and
// a returned batch starts it again; one bad entry of a body hurts no other.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stages/decode/test_rig.hpp"

namespace tocsin::decode {
namespace {

using flow::BatchForm;
using flow::Envelope;
using test::Padded;
using test::Rig;

struct Acks final : flow::AckSink {
  std::vector<std::uint64_t> stored;
  std::vector<std::uint64_t> failed;
  void on_ack(const flow::AckToken& token, bool ok) noexcept override {
    (ok ? stored : failed).push_back(token.detail);
  }
};

struct Listener final : flow::Intake::ReadyListener {
  int calls = 0;
  void on_ready() noexcept override { ++calls; }
};

DecodeStage::Outcome publish(Rig& rig, Acks& acks, std::uint64_t detail,
                             std::string_view topic = "devices/d/telemetry/k",
                             std::string_view text = "{\"v\":1}") {
  const Padded payload(text);
  flow::RawEvent event;
  event.envelope = Envelope::device;
  event.payload = payload.view();
  event.topic = topic;
  return rig.stage.add(event, {.sink = &acks, .slot = 0, .generation = 0, .detail = detail});
}

// Goal: events at `accepted`, which nobody's commit holds back, do not use up the pool one by one
// while the disk rests.
TEST(Batches, AcceptedOnesGatherWhileThePoolRunsLow) {
  using std::chrono::microseconds;
  Rig rig(16);
  Acks acks;
  std::uint64_t detail = 0;
  flow::Batch* batch = nullptr;
  std::vector<flow::Batch*> written;
  const auto turn = [&](microseconds later) {
    rig.io.time += later;
    EXPECT_TRUE(publish(rig, acks, detail++, "fast/1").has_value());
    rig.loop.turn();
    // The journal acknowledges at once, and writes later.
    for (; !rig.sink.batches.empty(); written.push_back(batch)) {
      batch = rig.sink.batches.front();
      batch->retain();
      rig.commit();
      rig.loop.turn();
    }
    return written.size();
  };
  std::size_t sealed = 0;
  // Two are open, of which one is at level `stored`.
  while (2 * (rig.pool.available() - 1) >= rig.pool.count()) {
    ASSERT_EQ(turn(microseconds{0}), ++sealed);
  }
  EXPECT_GE(sealed, 5U);
  EXPECT_EQ(turn(microseconds{0}), sealed);
  EXPECT_EQ(turn(microseconds{999}), sealed);
  EXPECT_EQ(turn(microseconds{1}), ++sealed);
  EXPECT_EQ(written.back()->size(), 3U);
  while (4 * (rig.pool.available() - 1) >= rig.pool.count()) {
    static_cast<void>(turn(microseconds{0}));
    ASSERT_EQ(turn(microseconds{1000}), ++sealed);
  }
  EXPECT_EQ(turn(microseconds{0}), sealed);
  EXPECT_EQ(turn(microseconds{3999}), sealed);
  EXPECT_EQ(turn(microseconds{1}), ++sealed);
  // Those at `stored` are held back by their own commits, and need no patience.
  ASSERT_TRUE(publish(rig, acks, detail++).has_value());
  rig.loop.turn();
  EXPECT_EQ(rig.sink.batches.size(), 1U);
  ASSERT_TRUE(publish(rig, acks, detail++, "fast/1").has_value());
  rig.stage.drain();
  rig.loop.turn();
  EXPECT_EQ(rig.sink.batches.size(), 2U);
  for (flow::Batch* each : written) each->release();
}

TEST(Batches, IdleJournalGetsEachTurnsEventsBusyOneLetsThemFill) {
  Rig rig;
  Acks acks;
  for (std::uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(publish(rig, acks, i).has_value());
    rig.loop.turn();
  }
  ASSERT_EQ(rig.sink.batches.size(), 2U) << "inflight_max";
  EXPECT_EQ(rig.sink.batches[0]->size(), 1U);
  rig.commit();
  rig.loop.turn();
  ASSERT_EQ(rig.sink.batches.size(), 2U);
  EXPECT_EQ(rig.sink.batches[1]->size(), 3U) << "what had gathered meanwhile";
  rig.commit();
  rig.commit(false);
  rig.loop.turn();
  EXPECT_EQ(acks.stored, (std::vector<std::uint64_t>{0, 1}));
  EXPECT_EQ(acks.failed, (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_TRUE(rig.stage.idle());
  EXPECT_EQ(rig.stage.batches().acknowledged(), 2U);
  EXPECT_EQ(rig.stage.batches().commit_failed(), 3U);
}

TEST(Batches, LevelsDoNotShareABatchAndAFullOneLeavesAtOnce) {
  Rig rig;
  Acks acks;
  ASSERT_TRUE(publish(rig, acks, 1, "fast/1").has_value());
  for (std::uint32_t i = 0; i < batch_records_max; ++i) {
    ASSERT_TRUE(publish(rig, acks, i).has_value());
  }
  ASSERT_EQ(rig.sink.batches.size(), 1U) << "before the turn ends";
  EXPECT_EQ(rig.sink.batches[0]->level(), Level::stored);
  EXPECT_EQ(rig.sink.batches[0]->size(), batch_records_max);
  rig.loop.turn();
  ASSERT_EQ(rig.sink.batches.size(), 2U);
  EXPECT_EQ(rig.sink.batches[1]->level(), Level::accepted);
  EXPECT_EQ(rig.sink.batches[1]->size(), 1U);
}

TEST(Batches, LargeEventsFillByBytes) {
  Rig rig(8);
  Acks acks;
  const std::string large = '"' + std::string(100'000, 'x') + '"';
  ASSERT_TRUE(publish(rig, acks, 0, "devices/d/telemetry/k", large).has_value());
  ASSERT_TRUE(publish(rig, acks, 1, "devices/d/telemetry/k", large).has_value());
  EXPECT_EQ(rig.sink.batches.size(), 1U);
  rig.loop.turn();
  ASSERT_EQ(rig.sink.batches.size(), 2U);
  const auto block = rig.sink.batches[1]->view();
  EXPECT_EQ(block.record(0).payload(), large);
  const std::string largest = '"' + std::string(rig.pool.payload_max() - 2, 'x') + '"';
  EXPECT_TRUE(publish(rig, acks, 2, "devices/d/telemetry/k", largest).has_value());
  const auto over = publish(rig, acks, 3, "devices/d/telemetry/k", largest + ' ');
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().reason, flow::Refusal::too_large);
}

TEST(Batches, ExhaustedPoolRefusesAndResumes) {
  Rig rig(3);  // Two open batches and one to spare.
  Acks acks;
  Listener listener;
  rig.stage.add_ready_listener(listener);
  ASSERT_TRUE(rig.stage.ready());
  const std::uint32_t room = 2 * batch_records_max;
  for (std::uint32_t i = 0; i < room; ++i) ASSERT_TRUE(publish(rig, acks, i).has_value()) << i;
  EXPECT_FALSE(rig.stage.ready());
  const auto refused = publish(rig, acks, room);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, flow::Refusal::capacity);
  rig.loop.turn();
  EXPECT_EQ(listener.calls, 0);
  rig.commit();
  rig.loop.turn();
  rig.loop.turn();
  EXPECT_EQ(listener.calls, 1);
  EXPECT_TRUE(rig.stage.ready());
  EXPECT_TRUE(publish(rig, acks, room).has_value());
  EXPECT_EQ(acks.stored.size(), batch_records_max);
}

struct Verdicts final : flow::EntryVerdicts {
  explicit Verdicts(Acks& sink) : acks(&sink) {}
  Acks* acks;
  std::vector<std::string> seen;
  std::uint32_t tokens = 0;
  flow::AckToken token(std::uint32_t index) noexcept override {
    EXPECT_EQ(index, tokens++);
    return {.sink = acks, .slot = 0, .generation = 0, .detail = index};
  }
  void on_entry(std::uint32_t index, const DecodeStage::Outcome& verdict) noexcept override {
    EXPECT_EQ(index, seen.size());
    seen.emplace_back(verdict ? verdict->data : to_string(verdict.error().reason));
  }
  bool postpone(std::uint32_t index) noexcept override {
    if (!patient) return false;
    EXPECT_EQ(index, --tokens);
    return true;
  }
  bool patient = false;
};

Result<std::uint32_t, flow::Rejection> add_all(Rig& rig, Verdicts& verdicts, BatchForm form,
                                               std::string_view text,
                                               std::uint32_t first_entry = 0) {
  const Padded body(text);
  flow::RawEvent event;
  event.first_entry = first_entry;
  event.envelope = Envelope::api;
  event.payload = body.view();
  event.content_type = "application/x-ndjson";
  return rig.stage.add_all(event, form, verdicts);
}

TEST(Bodies, ArrayEntriesGetTheirOwnVerdicts) {
  Rig rig;
  Acks acks;
  Verdicts verdicts(acks);
  const auto count = add_all(rig, verdicts, BatchForm::array,
                             R"( [ {"event":"order_created","payload":{"n":[1]}} , 5,
        {"event":"nobody","payload":1},{"event":"order_created","payload":2}])");
  ASSERT_TRUE(count.has_value());
  EXPECT_EQ(*count, 4U);
  EXPECT_EQ(verdicts.seen,
            (std::vector<std::string>{R"({"n":[1]})", "envelope", "unknown_source", "2"}));
  rig.loop.turn();
  rig.commit();
  rig.loop.turn();
  EXPECT_EQ(acks.stored, (std::vector<std::uint64_t>{0, 3}));
}

// Goal: a batch that finds the pool empty goes on later with the entry that found no room, in both
// forms; who has no patience gets a verdict for each entry.
TEST(Bodies, GoOnWhenThereIsRoomAgain) {
  for (const BatchForm form : {BatchForm::array, BatchForm::ndjson}) {
    Rig rig(3);
    Acks acks;
    ASSERT_TRUE(rig.stage.ready());
    const std::uint32_t room = 2 * batch_records_max;
    for (std::uint32_t i = 0; i + 1 < room; ++i) ASSERT_TRUE(publish(rig, acks, i).has_value());
    std::string text = form == BatchForm::array ? "[" : "";
    for (const char* n : {"1", "2", "3"}) {
      text += R"({"event":"order_created","payload":)" + std::string(n) + "}";
      if (*n != '3') text += form == BatchForm::array ? "," : "\n";
    }
    if (form == BatchForm::array) text += "]";
    Verdicts hasty(acks);
    Verdicts verdicts(acks);
    verdicts.patient = true;
    const auto before = add_all(rig, verdicts, form, text);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(*before, 1U);
    ASSERT_TRUE(add_all(rig, hasty, form, text).has_value());
    EXPECT_EQ(hasty.seen, (std::vector<std::string>{"capacity", "capacity", "capacity"}));
    rig.loop.turn();
    rig.commit();
    rig.loop.turn();
    rig.loop.turn();
    const auto after = add_all(rig, verdicts, form, text, *before);
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(*after, 3U);
    EXPECT_EQ(verdicts.seen, (std::vector<std::string>{"1", "2", "3"}));
  }
}

TEST(Bodies, LinesAreDocumentsOfTheirOwn) {
  Rig rig;
  Acks acks;
  Verdicts verdicts(acks);
  const auto count = add_all(rig, verdicts, BatchForm::ndjson,
                             "{\"event\":\"order_created\",\"payload\":1}\r\n\n  \n{broken\n\"\n"
                             "{\"event\":\"order_created\",\"payload\":2}");
  ASSERT_TRUE(count.has_value());
  EXPECT_EQ(*count, 4U);
  EXPECT_EQ(verdicts.seen, (std::vector<std::string>{"1", "json_syntax", "json_syntax", "2"}));
}

TEST(Bodies, RefusedAsAWhole) {
  Rig rig;
  Acks acks;
  Verdicts verdicts(acks);
  const auto reason = [&](BatchForm form, std::string_view text) {
    const auto count = add_all(rig, verdicts, form, text);
    return count ? std::to_string(*count) : std::string(to_string(count.error().reason));
  };
  EXPECT_EQ(reason(BatchForm::array, "[1,"), "json_syntax");
  EXPECT_EQ(reason(BatchForm::array, "{}"), "entries");
  EXPECT_EQ(reason(BatchForm::array, ""), "empty");
  EXPECT_EQ(reason(BatchForm::ndjson, " \n\n"), "empty");
  EXPECT_EQ(reason(BatchForm::array, "[]"), "0");
  std::string array = "[1";
  std::string lines = "1\n";
  for (std::uint32_t i = 1; i < batch_entries_max; ++i) {
    array += ",1";
    lines += "1\n";
  }
  EXPECT_EQ(reason(BatchForm::array, array + ",1]"), "entries");
  EXPECT_EQ(reason(BatchForm::ndjson, lines + "1"), "entries");
  EXPECT_EQ(verdicts.tokens, 0U);
  EXPECT_EQ(reason(BatchForm::ndjson, lines), "1000");
  EXPECT_EQ(verdicts.seen.size(), 1000U);
}

}  // namespace
}  // namespace tocsin::decode
