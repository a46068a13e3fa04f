// Goal: match, route and render fit together: records become notifications of the pool.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "flow/notification.hpp"
#include "stages/decode/allocation_count.hpp"
#include "stages/match/match_test_support.hpp"
#include "stages/match/matcher.hpp"
#include "stages/render/renderer.hpp"
#include "stages/route/router.hpp"

namespace tocsin {
namespace {

/// What a worker does with one record.
class Worker {
 public:
  Worker(std::span<const flow::RuleConfig> rules, flow::NotificationPool& pool)
      : matcher_(match::RuleSet::compile(rules, 1).value(), 64 * 1024),
        router_(route::RouteTable::compile(rules).value()),
        renderer_(
            render::TemplateSet::compile(rules, [](const auto&) { return render::Escape::none; })
                .value()),
        pool_(pool) {}

  void process(const RecordView& record, std::vector<flow::Notification*>& out) {
    matcher_.match(record, matches_);
    for (const match::RuleIndex rule : matches_) {
      router_.route(record, matcher_.document(), rule, targets_);
      for (const route::Target& target : targets_) {
        flow::Notification* notification = pool_.acquire();
        if (notification == nullptr) return;
        router_.fill(record, rule, target, *notification);
        renderer_.render(rule, record, matcher_.document(), notification->priority,
                         notification->severity, notification->subject, notification->body);
        out.push_back(notification);
      }
    }
  }

 private:
  match::Matcher matcher_;
  route::Router router_;
  render::Renderer renderer_;
  flow::NotificationPool& pool_;
  std::vector<match::RuleIndex> matches_;
  std::vector<route::Target> targets_;
};

TEST(Wiring, RecordsBecomeNotifications) {
  std::vector<flow::RuleConfig> rules(2);
  rules[0].name = "hot";
  rules[0].pattern = R"({"value":[{"numeric":[">",40]}]})";
  rules[0].channel = "mail";
  rules[0].subject = "{{device}} is at {{value}}";
  rules[0].body = "{{event.severity}}";
  rules[0].recipient_field = "owners";
  rules[0].severity = Severity::critical;
  rules[1].name = "all";
  rules[1].source = "lab";
  rules[1].channel = "log";
  flow::NotificationPool pool(8);
  Worker worker(rules, pool);
  match::TestRecord record(R"({"device":"d1","value":41.5,"owners":["a@x","b@x"]})");
  record.attribute(AttributeTag::event_source, "lab");
  std::vector<flow::Notification*> out;
  worker.process(record.view(), out);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0]->subject, "d1 is at 41.5");
  EXPECT_EQ(out[0]->body, "critical");
  EXPECT_EQ(out[0]->recipient, "a@x");
  EXPECT_EQ(out[1]->recipient, "b@x");
  EXPECT_NE(out[0]->id, out[1]->id);
  EXPECT_EQ(out[2]->rule, "all");
  EXPECT_EQ(out[2]->channel, "log");
  EXPECT_EQ(out[2]->recipient, "");
  EXPECT_EQ(out[2]->body, record.view().payload());
  for (flow::Notification* notification : out) pool.release(notification);
}

// Goal: no allocation per event once strings and scratch have grown. Method: count them, after one
// round of warm-up, for arrays, escapes and duplicate recipients too.
TEST(Wiring, SteadyStateAllocatesNothing) {
  if (!decode::test::allocations_are_counted()) GTEST_SKIP() << "a sanitizer owns operator new";
  std::vector<flow::RuleConfig> rules(1);
  rules[0].name = "hot";
  rules[0].pattern =
      R"({"e":{"f":["A\u006ena"],"l":[{"exists":false}]},"v":[{"numeric":[">",1]}]})";
  rules[0].subject = "{{device}} {{event.time}}";
  rules[0].body = "{{e}} {{payload}} {{event.id}} {{device}}";
  rules[0].recipient_field = "to";
  match::Matcher matcher(*match::RuleSet::compile(rules, 1), 4096);
  route::Router router(*route::RouteTable::compile(rules));
  render::Renderer renderer(
      *render::TemplateSet::compile(rules, [](const auto&) { return render::Escape::html; }));
  const match::TestRecord record(
      R"({"e":[{"f":"Anna"},{"f":"P\u0065te","l":"J"}],"v":2,"device":"<\n>","to":["a","\u0061","b"]})");
  std::vector<match::RuleIndex> matches;
  std::vector<route::Target> targets;
  flow::Notification notification;
  std::size_t made = 0;
  std::uint64_t allocations = 0;
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t before = decode::test::allocation_count();
    matcher.match(record.view(), matches);
    for (const match::RuleIndex rule : matches) {
      router.route(record.view(), matcher.document(), rule, targets);
      for (const route::Target& target : targets) {
        router.fill(record.view(), rule, target, notification);
        renderer.render(rule, record.view(), matcher.document(), notification.priority,
                        notification.severity, notification.subject, notification.body);
        ++made;
      }
    }
    if (round > 0) allocations += decode::test::allocation_count() - before;
  }
  EXPECT_EQ(made, 40U);
  EXPECT_EQ(allocations, 0U);
}

}  // namespace
}  // namespace tocsin
