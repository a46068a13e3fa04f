#include <array>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flow/broker_client.hpp"
#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/channels/mqtt/options.hpp"
#include "stages/deliver/channels/mqtt/topic.hpp"
#include "tests/support/fake_io.hpp"
#include "tests/support/mosquitto.hpp"

namespace tocsin::deliver {

extern const ChannelType channel_type_mqtt;

namespace {

OutgoingNotification notification(std::string_view rule = "hot",
                                  std::string_view body = "{\"t\":9}") {
  return {.id = {.hi = 0, .lo = 7},
          .event_id = {.hi = 0, .lo = 8},
          .rule = rule,
          .event_type = "telemetry",
          .subject = "Too \"hot\"",
          .body = body,
          .traceparent = {}};
}

OptionValues options(std::string broker, std::string topic) {
  OptionValues values;
  values.set_text("broker", std::move(broker));
  values.set_text("topic", std::move(topic));
  values.set_text("protocol", "5");
  values.set_number("qos", 1);
  values.set_number("keep_alive_s", 30);
  values.set_number("reconnect_min_ms", 10);
  values.set_number("reconnect_max_ms", 50);
  values.set_number("attempt_timeout_ms", 5000);
  values.set_number("outstanding_max", 4);
  return values;
}

struct Done final : DeliveryCompletion {
  void on_attempt(Attempt a) noexcept override { attempts.push_back(std::move(a)); }
  std::vector<Attempt> attempts;
};

struct FakeHub final : flow::SubscriberHub {
  bool publish(std::string_view topic, std::string_view payload,
               std::uint8_t qos) noexcept override {
    published.push_back(std::string(topic) + " " + std::string(payload) + " " +
                        std::to_string(qos));
    return !full;
  }
  std::vector<std::string> published;
  bool full = false;
};

// Goal: templates make topics, and no event data makes one that a publish may not have.
TEST(MqttTopic, TemplatesAndRefusals) {
  EXPECT_EQ(make_topic("notifications/{rule}/{recipient}/{type}{x}", "bob", notification()),
            "notifications/hot/bob/telemetry{x}");
  EXPECT_EQ(make_topic("{recipient}", "{rule}", notification()), "{rule}")
      << "what was put in is not replaced again";
  EXPECT_TRUE(topic_allowed("notifications/a", true));
  EXPECT_TRUE(topic_allowed("plant/alerts", false));
  for (const char* bad : {"notifications/", "notifications", "plant/x", "notifications/+",
                          "notifications/a#", "notifications/a\nb", ""}) {
    EXPECT_FALSE(topic_allowed(bad, true)) << bad;
  }
  EXPECT_FALSE(topic_allowed("$SYS/x", false));
  EXPECT_FALSE(topic_allowed(std::string(70'000, 'a'), false));
}

// Goal: one notification is its body; many are one JSON array.
TEST(MqttPayload, SingleAndBatch) {
  const std::array batch{notification("a", "x"), notification("b", "y\n")};
  EXPECT_EQ(make_payload(std::span{batch}.first(1)), "x");
  EXPECT_EQ(make_payload(batch),
            R"([{"id":"00000000-0000-0000-0000-000000000007",)"
            R"("event_id":"00000000-0000-0000-0000-000000000008","rule":"a","type":"telemetry",)"
            R"("subject":"Too \"hot\"","body":"x"},)"
            R"({"id":"00000000-0000-0000-0000-000000000007",)"
            R"("event_id":"00000000-0000-0000-0000-000000000008","rule":"b","type":"telemetry",)"
            R"("subject":"Too \"hot\"","body":"y\n"}])");
}

// Goal: what cannot work is refused before anything is opened.
TEST(MqttChannel, ChecksItsOptions) {
  EXPECT_EQ(channel_type_mqtt.check(options("self", "notifications/{rule}")), "");
  EXPECT_NE(channel_type_mqtt.check(options("self", "plant/{rule}")), "");
  EXPECT_EQ(channel_type_mqtt.check(options("mqtt://h", "plant/{rule}")), "");
  EXPECT_NE(channel_type_mqtt.check(options("tcp://h", "plant/{rule}")), "");
  EXPECT_NE(channel_type_mqtt.check(options("mqtt://h", "plant/#")), "");
  OptionValues half = options("mqtts://h", "a");
  half.set_text("cert_file", "x");
  EXPECT_NE(channel_type_mqtt.check(half), "");
}

class MqttChannelTest : public ::testing::Test {
 protected:
  ~MqttChannelTest() override {
    if (channel_ == nullptr) return;
    channel_->close();
    EXPECT_TRUE(turn_until([&] { return channel_->closed(); }));
  }
  void make(const OptionValues& values, bool opened = true) {
    ChannelContext context{
        .loop = loop_, .log = make_null_log(), .name = "m", .hub = &hub_, .print = {}};
    auto made = channel_type_mqtt.make(context, values);
    ASSERT_TRUE(made) << made.error();
    channel_ = std::move(*made);
    if (opened) channel_->open();
  }
  /// Turns until the condition holds; false after ten seconds.
  bool turn_until(const std::function<bool()>& condition) {
    const MonoTime limit = io_.now() + std::chrono::seconds{10};
    while (!condition()) {
      if (io_.now() > limit) return false;
      loop_.turn(limit);
    }
    return true;
  }
  /// One attempt, answered.
  Attempt send(std::string_view recipient = "bob") {
    Done done;
    const std::array one{notification()};
    if (!channel_->submit(recipient, one, done))
      return {.verdict = Verdict::transient, .detail = "busy"};
    EXPECT_TRUE(done.attempts.empty()) << "inside submit";
    EXPECT_TRUE(turn_until([&] { return !done.attempts.empty(); }));
    return done.attempts.at(0);
  }
  Attempt send_until_delivered() {
    Attempt attempt{.verdict = Verdict::transient};
    const MonoTime limit = io_.now() + std::chrono::seconds{10};
    while (attempt.verdict != Verdict::delivered && io_.now() < limit) attempt = send();
    return attempt;
  }

  testing::FakeIo io_{testing::FakeIo::Time::real};
  flow::Loop loop_{io_, "test"};
  FakeHub hub_;
  std::unique_ptr<Channel> channel_;
};

// Goal: "self" publishes below the prefix; a recipient that leaves the topic rules is permanent, a
// full hub transient.
TEST_F(MqttChannelTest, SelfPublishesThroughTheHub) {
  make(options("self", "notifications/{recipient}"));
  EXPECT_EQ(send("bob").verdict, Verdict::delivered);
  EXPECT_EQ(hub_.published.at(0), "notifications/bob {\"t\":9} 1");
  EXPECT_EQ(send("#").verdict, Verdict::permanent);
  EXPECT_EQ(hub_.published.size(), 1U);
  hub_.full = true;
  EXPECT_EQ(send("bob").verdict, Verdict::transient);
}

// Goal: an unreachable broker is a transient failure at once, and close() ends it in bounded time.
TEST_F(MqttChannelTest, UnreachableBrokerIsTransient) {
  testing::Mosquitto not_started;
  make(options(not_started.uri(), "plant/{rule}"));
  const Attempt attempt = send();
  EXPECT_EQ(attempt.verdict, Verdict::transient);
  EXPECT_EQ(attempt.error, DeliveryError::connect);
}

// Goal: an attempt that comes before the connection is up waits for it instead of failing; one that
// waits in vain fails when its time is over.
TEST_F(MqttChannelTest, TheFirstAttemptWaitsForTheConnection) {
  testing::Mosquitto broker;
  ASSERT_TRUE(broker.start()) << "mosquitto must be installed";
  make(options(broker.uri(), "plant/{rule}"));
  EXPECT_EQ(send().verdict, Verdict::delivered);
  channel_->close();
  EXPECT_TRUE(turn_until([&] { return channel_->closed(); }));
  OptionValues short_time = options(broker.uri(), "plant/{rule}");
  short_time.set_number("attempt_timeout_ms", 100);
  make(short_time, /*opened=*/false);
  const Attempt attempt = send();
  EXPECT_EQ(attempt.verdict, Verdict::transient);
  EXPECT_EQ(attempt.error, DeliveryError::connect);
}

// Goal: a real broker gets the body and our marker; the channel survives its restart.
TEST_F(MqttChannelTest, PublishesToARealBrokerAcrossItsRestart) {
  testing::Mosquitto broker;
  ASSERT_TRUE(broker.start()) << "mosquitto must be installed";
  auto received = std::async(std::launch::async, [&] {
    const std::string command = "timeout 10 mosquitto_sub -V mqttv5 -C 1 -q 1 -t 'plant/#' " +
                                std::string("-F '%t %p %P' -p ") + std::to_string(broker.port());
    std::array<char, 200> line{};
    const std::unique_ptr<FILE, int (*)(FILE*)> sub(::popen(command.c_str(), "r"), ::pclose);
    return std::string(std::fgets(line.data(), line.size(), sub.get()) ? line.data() : "");
  });
  make(options(broker.uri(), "plant/{rule}"));
  // The subscription may begin after the first publish: publish until one arrives.
  do {
    EXPECT_EQ(send_until_delivered().verdict, Verdict::delivered);
  } while (received.wait_for(std::chrono::seconds{0}) != std::future_status::ready);
  EXPECT_THAT(received.get(), ::testing::StartsWith("plant/hot {\"t\":9} tocsin-notification:"));
  broker.stop();
  EXPECT_EQ(send().verdict, Verdict::transient);
  ASSERT_TRUE(broker.start());
  EXPECT_EQ(send_until_delivered().verdict, Verdict::delivered);
}

// Goal: no more publishes wait than allowed: the next submit is busy, and close() answers all.
TEST_F(MqttChannelTest, OutstandingIsBounded) {
  testing::Mosquitto not_started;
  make(options(not_started.uri(), "plant/{rule}"));
  Done done;
  const std::array one{notification()};
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(channel_->submit("x", one, done));
  EXPECT_FALSE(channel_->submit("x", one, done));
  channel_->close();
  EXPECT_TRUE(turn_until([&] { return done.attempts.size() == 4; }));
  for (const Attempt& attempt : done.attempts) EXPECT_EQ(attempt.error, DeliveryError::shutdown);
}

}  // namespace
}  // namespace tocsin::deliver
