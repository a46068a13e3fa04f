// Goal: each match becomes the right notifications with ids that never change, and every recipient
// that does not is accounted for.
#include "stages/route/router.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "stages/match/match_test_support.hpp"

namespace tocsin::route {
namespace {

using match::TestDocument;
using match::TestRecord;

struct Counters final : MetricSink {
  std::map<std::string, std::uint64_t> values;
  void counter(std::string_view name, std::string_view, Labels labels,
               std::uint64_t value) override {
    std::string key(name);
    for (const auto& [label, text] : labels) key += "/" + std::string(text);
    values[key] = value;
  }
  void gauge(std::string_view, std::string_view, Labels, double) override {}
  void histogram(std::string_view, std::string_view, Labels, const Histogram&) override {}
  std::uint64_t operator[](const std::string& name) { return values["tocsin_" + name + "_total"]; }
  std::uint64_t suppressed(const std::string& reason) {
    return values["tocsin_notifications_suppressed_total/" + reason];
  }
};

flow::RuleConfig rule(std::vector<std::string> recipients, std::string field = {}) {
  flow::RuleConfig config;
  config.name = "hot";
  config.channel = "mail";
  config.recipients = std::move(recipients);
  config.recipient_field = std::move(field);
  return config;
}

class RouterTest : public ::testing::Test {
 protected:
  std::vector<std::string> route(const flow::RuleConfig& config, std::string_view payload,
                                 std::string_view replay = {}) {
    const auto table = RouteTable::compile({&config, 1});
    EXPECT_TRUE(table.has_value()) << (table ? "" : table.error());
    Router router(*table);
    const TestDocument document(payload);
    const std::optional<json::Value> root =
        document.valid() ? std::optional(document.root()) : std::nullopt;
    router.route(record_.view(), root, 0, targets_, replay);
    router.describe(counters_);
    EXPECT_EQ(counters_["notification_targets"],
              counters_["notifications_routed"] + counters_["notifications_merged"] +
                  counters_.suppressed("no_recipient") + counters_.suppressed("bad_recipient") +
                  counters_.suppressed("too_many_recipients"));
    std::vector<std::string> recipients;
    for (const Target& target : targets_) recipients.emplace_back(target.recipient);
    return recipients;
  }
  using Texts = std::vector<std::string>;
  TestRecord record_{"{}"};
  std::vector<Target> targets_;
  Counters counters_;
};

TEST_F(RouterTest, FixedAndFieldRecipientsMergeDuplicates) {
  EXPECT_EQ(route(rule({"a@x", "b@x", "a@x"}, "to.list"), R"({"to":{"list":["b@x","c@\u0078"]}})"),
            (Texts{"a@x", "b@x", "c@x"}));
  EXPECT_EQ(counters_["notifications_merged"], 1U);
  EXPECT_EQ(counters_["notifications_routed"], 3U);
}

TEST_F(RouterTest, FieldMayBeOneStringOrAnIndexIntoAnArray) {
  EXPECT_EQ(route(rule({}, "to"), R"({"to":"a@x"})"), (Texts{"a@x"}));
  EXPECT_EQ(route(rule({}, "to.1.mail"), R"({"to":[{"mail":"a@x"},{"mail":"b@x"}]})"),
            (Texts{"b@x"}));
}

TEST_F(RouterTest, NoRecipientNeededIsTheEmptyOne) {
  EXPECT_EQ(route(rule({}), "{}"), (Texts{""}));
}

TEST_F(RouterTest, MissingFieldIsSuppressed) {
  for (const char* payload : {"{}", R"({"to":null})", R"({"to":[]})", R"("x")", ""}) {
    EXPECT_TRUE(route(rule({}, "to"), payload).empty()) << payload;
    EXPECT_EQ(counters_.suppressed("no_recipient"), 1U) << payload;
  }
}

TEST_F(RouterTest, BadRecipientsAreSuppressed) {
  const std::string longest(recipient_size_max, 'x');
  EXPECT_EQ(route(rule({}, "to"), R"({"to":["a\r\nBcc: b","","c\u0000d",5,{},"e\u007f",")" +
                                      longest + R"(x",")" + longest + R"("]})"),
            (Texts{longest}));
  EXPECT_EQ(counters_.suppressed("bad_recipient"), 7U);
  EXPECT_TRUE(route(rule({}, "to"), R"({"to":5})").empty());
  EXPECT_EQ(counters_.suppressed("bad_recipient"), 1U);
}

TEST_F(RouterTest, RecipientsOfOneMatchAreBounded) {
  std::string payload = R"({"to":["r0")";
  for (std::size_t i = 1; i < recipients_per_match_max + 10; ++i) {
    payload += ",\"r" + std::to_string(i) + "\"";
  }
  EXPECT_EQ(route(rule({"fixed"}, "to"), payload + "]}").size(), recipients_per_match_max);
  EXPECT_EQ(counters_.suppressed("too_many_recipients"), 11U);
}

// Ids survive restarts and upgrades, so their values are pinned. Whatever makes a notification
// another one must change its id.
TEST_F(RouterTest, IdsArePinnedAndDependOnAllTheyShould) {
  const auto id = [&](const flow::RuleConfig& config, std::string_view replay = {}) {
    route(config, "{}", replay);
    return targets_.at(0).id;
  };
  const NotificationId first = id(rule({"a@x"}));
  EXPECT_EQ(first.hi, 13004313945019013834U);
  EXPECT_EQ(first.lo, 5221036851021624576U);
  EXPECT_EQ(id(rule({"a@x"})), first);
  EXPECT_NE(id(rule({"b@x"})), first);
  EXPECT_NE(id(rule({"a@x"}), "replay-1"), first);
  flow::RuleConfig other = rule({"a@x"});
  other.name = "cold";
  EXPECT_NE(id(other), first);
  other = rule({"a@x"});
  other.channel = "sms";
  EXPECT_NE(id(other), first);
  record_.header().tenant = 1;
  EXPECT_NE(id(rule({"a@x"})), first);
  record_.header().tenant = 0;
  record_.header().id.lo ^= 1U;
  EXPECT_NE(id(rule({"a@x"})), first);
}

TEST_F(RouterTest, FillTakesOverridesFromTheRule) {
  flow::RuleConfig config = rule({"a@x"});
  config.priority = Priority::urgent;
  record_.attribute(AttributeTag::type, "reading").attribute(AttributeTag::traceparent, "00-1");
  record_.header().severity = Severity::error;
  const auto table = RouteTable::compile({&config, 1});
  Router router(*table);
  router.route(record_.view(), std::nullopt, 0, targets_);
  flow::Notification notification;
  router.fill(record_.view(), 0, targets_.at(0), notification);
  EXPECT_EQ(notification.id, targets_[0].id);
  EXPECT_EQ(notification.event_id, record_.header().id);
  EXPECT_EQ(notification.sequence, 1U);
  EXPECT_EQ(notification.channel, "mail");
  EXPECT_EQ(notification.rule, "hot");
  EXPECT_EQ(notification.event_type, "reading");
  EXPECT_EQ(notification.recipient, "a@x");
  EXPECT_EQ(notification.traceparent, "00-1");
  EXPECT_EQ(notification.priority, Priority::urgent);
  EXPECT_EQ(notification.severity, Severity::error);
}

TEST(RouteTable, RefusesBadRulesByName) {
  for (const auto& [config, reason] :
       {std::pair{rule({"a\nb"}), "control characters"}, std::pair{rule({""}), "1 to 512 bytes"},
        std::pair{rule({}, "a..b"), "recipient_field \"a..b\" has an empty key"},
        std::pair{rule({}, "a."), "empty key"}}) {
    const auto table = RouteTable::compile({&config, 1});
    ASSERT_FALSE(table.has_value());
    EXPECT_NE(table.error().find("rule \"hot\""), std::string::npos) << table.error();
    EXPECT_NE(table.error().find(reason), std::string::npos) << table.error();
  }
}

}  // namespace
}  // namespace tocsin::route
