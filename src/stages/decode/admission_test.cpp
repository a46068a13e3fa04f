// Goal: what a source's rate or a client's rights refuse is refused entry by entry, before a record
// is made of it, and a client's quota refuses a batch as a whole.
#include <gtest/gtest.h>

#include "flow/quota_table.hpp"
#include "stages/decode/decode_stage.hpp"
#include "stages/decode/test_rig.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;
using test::Padded;

class OnlyOrders final : public flow::Identity {
 public:
  [[nodiscard]] std::string_view user() const noexcept override { return "shop"; }
  [[nodiscard]] bool allows(flow::Access access, std::string_view topic,
                            std::string_view) const noexcept override {
    return access == flow::Access::publish && topic == "order_created";
  }
};

class Verdicts final : public flow::EntryVerdicts {
 public:
  Result<void, flow::Rejection> on_count(std::uint32_t count) noexcept override {
    entries = count;
    if (refuse_all) return Unexpected{flow::Rejection{.reason = Refusal::quota}};
    return {};
  }
  flow::AckToken token(std::uint32_t) noexcept override { return {}; }
  void on_entry(std::uint32_t,
                const Result<flow::Accepted, flow::Rejection>& verdict) noexcept override {
    text += verdict ? "ok " : std::string(to_string(verdict.error().reason)) + ' ';
  }
  bool refuse_all = false;
  std::uint32_t entries = 0;
  std::string text;
};

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() {
    auto sources = test::sources();
    sources[0].rate = 2;
    sources[1].rate = 2;
    quotas_.set_sources(sources);
    rig_.stage.set_sources(*flow::SourceTable::build(std::move(sources)));
  }
  std::string add(std::string_view text, const flow::Identity* sender = nullptr) {
    const Padded payload(text);
    flow::RawEvent event;
    event.payload = payload.view();
    event.sender = sender;
    const auto outcome = rig_.stage.add(event, {});
    if (outcome) return "ok";
    wait_ = outcome.error().retry_after;
    return std::string(to_string(outcome.error().reason));
  }
  Result<std::uint32_t, flow::Rejection> add_all(std::string_view text, flow::BatchForm form,
                                                 Verdicts& verdicts) {
    const Padded payload(text);
    flow::RawEvent event;
    event.payload = payload.view();
    return rig_.stage.add_all(event, form, verdicts);
  }

  flow::QuotaTable quotas_{{}, 1};
  test::Rig rig_{8, {.quotas = &quotas_}};
  Duration wait_{};
};

constexpr std::string_view order = R"({"event":"order_created","payload":1})";
constexpr std::string_view telemetry = R"({"event":"telemetry","payload":1})";

TEST_F(AdmissionTest, ASourceTakesItsRate) {
  EXPECT_EQ(add(order), "ok");
  EXPECT_EQ(add(order), "ok");
  EXPECT_EQ(add(order), "quota");
  EXPECT_EQ(wait_, Duration(std::chrono::milliseconds(500)));
  EXPECT_EQ(add(telemetry), "ok");
  rig_.io.time += std::chrono::milliseconds(500);
  rig_.loop.turn(rig_.loop.now());
  EXPECT_EQ(add(order), "ok");
}

TEST_F(AdmissionTest, EntriesHaveTheirOwnVerdicts) {
  const std::string three = std::string(order) + '\n' + std::string(order) + '\n' +
                            std::string(order) + '\n' + std::string(telemetry);
  Verdicts verdicts;
  EXPECT_TRUE(add_all(three, flow::BatchForm::ndjson, verdicts));
  EXPECT_EQ(verdicts.text, "ok ok quota ok ");
  EXPECT_EQ(verdicts.entries, 4U);
}

TEST_F(AdmissionTest, ABatchCanBeRefusedWhole) {
  Verdicts verdicts;
  verdicts.refuse_all = true;
  for (const auto form : {flow::BatchForm::ndjson, flow::BatchForm::array}) {
    const bool array = form == flow::BatchForm::array;
    const std::string body = array ? "[" + std::string(order) + "]" : std::string(order);
    const auto outcome = add_all(body, form, verdicts);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().reason, Refusal::quota);
    EXPECT_EQ(verdicts.entries, 1U);
    EXPECT_EQ(verdicts.text, "");
  }
  EXPECT_EQ(add(order), "ok") << "nothing was charged to the source";
  EXPECT_EQ(add(order), "ok");
}

// Goal: a topic that is known already is charged like a new one.
TEST_F(AdmissionTest, DevicesAreCharged) {
  const Padded payload("{}");
  flow::RawEvent event;
  event.envelope = flow::Envelope::device;
  event.payload = payload.view();
  event.topic = "devices/d1/telemetry/room";
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(rig_.stage.add(event, {}));
  for (int i = 0; i < 3; ++i) {
    const auto outcome = rig_.stage.add(event, {});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().reason, Refusal::quota);
  }
}

TEST_F(AdmissionTest, AClientPublishesWhereItMay) {
  const OnlyOrders shop;
  EXPECT_EQ(add(telemetry, &shop), "access");
  EXPECT_EQ(add(order, &shop), "ok");
}

}  // namespace
}  // namespace tocsin::decode
