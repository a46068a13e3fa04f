#include "stages/ingress/subscription/subscription.hpp"

#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/fake_io.hpp"
#include "tests/support/mosquitto.hpp"

namespace tocsin::ingress {
namespace {

flow::SubscriptionConfig config(std::string broker, std::vector<std::string> topics) {
  flow::SubscriptionConfig made;
  made.name = "plant";
  made.options.set_text("broker", std::move(broker));
  made.options.set_list("topics", std::move(topics));
  made.options.set_text("protocol", "5");
  made.options.set_number("qos", 1);
  made.options.set_number("keep_alive_s", 30);
  made.options.set_number("reconnect_min_ms", 10);
  made.options.set_number("reconnect_max_ms", 50);
  made.options.set_number("queue_max", 2);
  made.options.set_number("queue_bytes", 4096);
  return made;
}
flow::ChannelConfig channel(std::string broker, std::string topic) {
  flow::ChannelConfig made;
  made.name = "out";
  made.type = "mqtt";
  made.options.set_text("broker", std::move(broker));
  made.options.set_text("topic", std::move(topic));
  return made;
}

class FakeIntake final : public flow::Intake {
 public:
  bool ready() noexcept override { return !full; }
  Result<flow::Accepted, flow::Rejection> add(const flow::RawEvent& event,
                                              const flow::AckToken& ack) noexcept override {
    if (full) return Unexpected{flow::Rejection{.reason = flow::Refusal::capacity}};
    EXPECT_EQ(ack.sink, nullptr);
    EXPECT_EQ(event.level, Level::accepted);
    EXPECT_EQ(event.envelope, flow::Envelope::device);
    if (event.payload == "bad") {
      return Unexpected{flow::Rejection{.reason = flow::Refusal::json_syntax}};
    }
    events.push_back(std::string(event.topic) + " " + std::string(event.payload));
    return flow::Accepted{};
  }
  Result<std::uint32_t, flow::Rejection> add_all(const flow::RawEvent&, flow::BatchForm,
                                                 flow::EntryVerdicts&) noexcept override {
    return Unexpected{flow::Rejection{}};
  }
  void add_ready_listener(ReadyListener& listener) override { listener_ = &listener; }
  void set_full(bool value) {
    full = value;
    if (!full) listener_->on_ready();
  }
  bool full = false;
  std::vector<std::string> events;

 private:
  ReadyListener* listener_ = nullptr;
};

// Goal: invalid filters, shares and brokers are refused before anything is opened.
TEST(SubscriptionConfig, IsChecked) {
  EXPECT_EQ(check_subscription(config("mqtt://h", {"a/+/b", "$share/g/a/#"})), "");
  EXPECT_NE(check_subscription(config("h", {"a"})), "");
  EXPECT_NE(check_subscription(config("mqtt://h", {})), "");
  for (const char* bad : {"", "a/#/b", "a+", "$share/g", "$share//a", "$share/+/a", "$share/g/"}) {
    EXPECT_NE(check_subscription(config("mqtt://h", {bad})), "") << bad;
  }
}

// Goal: a channel whose notifications come back through a subscription is found, with nothing else.
TEST(EgressLoops, AreFound) {
  const std::vector subscriptions{config("mqtt://Broker:1883", {"$share/g/plant/#"})};
  EXPECT_EQ(egress_loops({channel("mqtts://broker", "plant/alerts")}, subscriptions).size(), 1U);
  EXPECT_EQ(egress_loops({channel("mqtt://broker", "{recipient}")}, subscriptions).size(), 1U);
  EXPECT_TRUE(egress_loops({channel("mqtt://broker", "alerts/{rule}")}, subscriptions).empty());
  EXPECT_TRUE(egress_loops({channel("mqtt://other", "plant/alerts")}, subscriptions).empty());
  EXPECT_TRUE(egress_loops({channel("self", "plant/alerts")}, subscriptions).empty());
  EXPECT_TRUE(egress_loops({channel("mqtt://broker", "notifications/{rule}")},
                           {config("mqtt://broker", {"#"})})
                  .empty());
}

// Goal: a full queue blocks its producer until there is room, one large message passes, and close()
// frees a blocked producer.
TEST(MessageQueue, BlocksWhenFull) {
  MessageQueue queue(2, 1000);
  EXPECT_EQ(queue.push("t", "", std::string(5000, 'x')), MessageQueue::Pushed::first);
  queue.pop();
  EXPECT_EQ(queue.push("t", "", "1"), MessageQueue::Pushed::first);
  EXPECT_EQ(queue.push("t", "", "2"), MessageQueue::Pushed::queued);
  std::thread producer([&] {
    EXPECT_EQ(queue.push("t", "", "3"), MessageQueue::Pushed::queued);
    EXPECT_EQ(queue.push("t", "", "4"), MessageQueue::Pushed::closed);
  });
  while (queue.blocked() == 0) std::this_thread::yield();
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue.front()->payload(), "1");
  queue.pop();
  while (queue.size() < 2 || queue.blocked() == 0) std::this_thread::yield();
  queue.close();
  producer.join();
  EXPECT_EQ(queue.size(), 2U);
}

class SubscriptionTest : public ::testing::Test {
 protected:
  bool turn_until(const std::function<bool()>& condition) {
    const MonoTime limit = io_.now() + std::chrono::seconds{10};
    while (!condition()) {
      if (io_.now() > limit) return false;
      loop_.turn(limit);
    }
    return true;
  }
  testing::FakeIo io_{testing::FakeIo::Time::real};
  flow::Loop loop_{io_, "test"};
  FakeIntake intake_;
};

struct Publisher final : flow::BrokerListener {
  void on_published(std::uint32_t, std::optional<flow::PublishFailure> failure) noexcept override {
    failure ? ++failed : ++published;
  }
  int published = 0;
  int failed = 0;
};

// Goal: a broker that is away at the start stops nothing; once it is there, messages become events;
// bad ones are counted; our own notifications are ignored; without capacity they wait.
TEST_F(SubscriptionTest, ReceivesFromARealBroker) {
  testing::Mosquitto broker;
  BrokerSubscription subscription(loop_, make_null_log(), intake_,
                                  config(broker.uri(), {"$share/g/plant/#", "notifications/#"}));
  for (int i = 0; i < 3; ++i) loop_.turn(io_.now());
  EXPECT_FALSE(subscription.subscribed());
  ASSERT_TRUE(broker.start()) << "mosquitto must be installed";
  flow::BrokerOptions options;
  options.uri = broker.uri();
  options.client_id = "publisher";
  options.reconnect_min = std::chrono::milliseconds{10};
  Publisher published;
  flow::BrokerClient publisher(loop_, make_null_log(), options, published);
  publisher.open();
  ASSERT_TRUE(turn_until([&] { return subscription.subscribed() && publisher.connected(); }));

  // The broker may acknowledge our subscription late: repeat until the first one arrives.
  EXPECT_TRUE(turn_until([&] {
    (void)publisher.publish("plant/1", "hello", 1, {});
    return !intake_.events.empty();
  }));
  EXPECT_EQ(intake_.events.at(0), "plant/1 hello");
  EXPECT_TRUE(turn_until([&] { return publisher.publish("plant/1", "bad", 1, {}).has_value(); }));
  EXPECT_TRUE(turn_until([&] { return subscription.refused(flow::Refusal::json_syntax) == 1; }));
  (void)publisher.publish("notifications/x", "{}", 1, {});
  (void)publisher.publish("plant/own", "{}", 1, {{flow::own_message_property, "id"}});
  EXPECT_TRUE(turn_until([&] { return subscription.ignored() == 2; }));

  // Back-pressure: a full intake fills the queue, then blocks Paho; nothing is lost.
  EXPECT_TRUE(
      turn_until([&] { return published.published > 0 && subscription.queue().size() == 0; }));
  intake_.set_full(true);
  const std::size_t before = intake_.events.size();
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(turn_until(
        [&] { return publisher.publish("plant/2", std::to_string(i), 0, {}).has_value(); }));
  }
  EXPECT_TRUE(turn_until([&] { return subscription.queue().blocked() == 1; }));
  EXPECT_EQ(subscription.queue().size(), 2U);
  EXPECT_EQ(intake_.events.size(), before);
  // Paho holds its global mutex while our callback waits: publishing must not stop the loop.
  EXPECT_TRUE(publisher.publish("plant/2", "last", 1, {}));
  loop_.turn(io_.now());
  intake_.set_full(false);
  EXPECT_TRUE(turn_until([&] { return intake_.events.back() == "plant/2 last"; }));
  EXPECT_GE(intake_.events.size(), before + 7);

  subscription.close();
  publisher.close();
  EXPECT_TRUE(turn_until([&] { return subscription.closed() && publisher.closed(); }));
}

// Goal: close() while Paho's thread is blocked ends in bounded time.
TEST_F(SubscriptionTest, ClosesWhileBlocked) {
  testing::Mosquitto broker;
  ASSERT_TRUE(broker.start()) << "mosquitto must be installed";
  BrokerSubscription subscription(loop_, make_null_log(), intake_, config(broker.uri(), {"t"}));
  flow::BrokerOptions options;
  options.uri = broker.uri();
  options.client_id = "publisher";
  options.reconnect_min = std::chrono::milliseconds{10};
  Publisher published;
  flow::BrokerClient publisher(loop_, make_null_log(), options, published);
  publisher.open();
  ASSERT_TRUE(turn_until([&] { return subscription.subscribed() && publisher.connected(); }));
  intake_.set_full(true);
  EXPECT_TRUE(turn_until([&] {
    (void)publisher.publish("t", "x", 0, {});
    return subscription.queue().blocked() == 1;
  }));
  subscription.close();
  publisher.close();
  intake_.set_full(false);
  EXPECT_TRUE(turn_until([&] { return subscription.closed() && publisher.closed(); }));
}

}  // namespace
}  // namespace tocsin::ingress
