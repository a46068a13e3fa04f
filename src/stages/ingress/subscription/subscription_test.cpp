#include "stages/ingress/subscription/subscription.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "stages/ingress/fake_streams.hpp"

namespace tocsin::ingress {
namespace {

flow::SubscriptionConfig config() {
  flow::SubscriptionConfig made;
  made.name = "plant";
  made.options.set_text("broker", "mqtt://127.0.0.1:1883");
  made.options.set_list("topics", {"$share/g/plant/#", "notifications/#"});
  made.options.set_text("protocol", "5");
  made.options.set_number("qos", 1);
  made.options.set_number("keep_alive_s", 30);
  made.options.set_number("reconnect_min_ms", 100);
  made.options.set_number("reconnect_max_ms", 400);
  made.options.set_number("session_expiry_s", 60);
  made.options.set_number("receive_maximum", 4);
  made.options.set_number("packet_size_max", 1000);
  return made;
}

/// The broker's side of connections that we open.
class BrokerIo final : public test::FakeStreams {
 public:
  Result<io::StreamId, io::Errno> connect(const io::Endpoint&,
                                          io::StreamHandler& handler) override {
    streams.push_back(std::make_unique<Stream>());
    streams.back()->handler = &handler;
    return io::StreamId{.slot = static_cast<std::uint32_t>(streams.size() - 1), .generation = 1};
  }
};

class FakeIntake final : public flow::Intake {
 public:
  bool ready() noexcept override { return !full; }
  Result<flow::Accepted, flow::Rejection> add(const flow::RawEvent& event,
                                              const flow::AckToken& ack) noexcept override {
    if (full) return Unexpected{flow::Rejection{.reason = flow::Refusal::capacity}};
    if (quota) {
      return Unexpected{flow::Rejection{.reason = flow::Refusal::quota,
                                        .retry_after = std::chrono::milliseconds{50}}};
    }
    EXPECT_EQ(event.envelope, flow::Envelope::device);
    EXPECT_FALSE(event.level.has_value()) << "the source decides";
    if (event.payload == "bad") {
      return Unexpected{flow::Rejection{.reason = flow::Refusal::json_syntax}};
    }
    // The contract of RawEvent::payload: these bytes may be read.
    volatile char sum = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      sum = static_cast<char>(sum + event.payload.data()[event.payload.size() + i]);
    }
    events.push_back(std::string(event.topic) + " " + std::string(event.payload));
    tokens.push_back(ack);
    return flow::Accepted{};
  }
  flow::Taken take(const flow::PlainEvent&, const flow::AckToken&,
                   flow::RefusalSink&) noexcept override {
    return flow::Taken::unusual;
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
  void ack(std::size_t index, bool stored = true) {
    const flow::AckToken token = tokens.at(index);
    if (token.sink != nullptr) token.sink->on_ack(token, stored);
  }
  bool full = false;
  bool quota = false;
  std::vector<std::string> events;
  std::vector<flow::AckToken> tokens;

 private:
  ReadyListener* listener_ = nullptr;
};

class SubscriptionTest : public ::testing::Test {
 protected:
  SubscriptionTest() {
    auto made = BrokerSubscription::make(loop_, make_null_log(), intake_, nullptr, config());
    EXPECT_TRUE(made.has_value());
    subscription_ = std::move(*made);
    turns();
  }
  ~SubscriptionTest() override {
    subscription_->close();
    for (std::size_t i = 0; i < intake_.tokens.size(); ++i) {
      if (!acked_.contains(i)) intake_.ack(i);
    }
    pass(std::chrono::seconds{3});
    EXPECT_TRUE(subscription_->closed());
  }
  void turns() {
    for (int i = 0; i < 4; ++i) loop_.turn(io_.time);
  }
  void pass(Duration time) {
    io_.time += time;
    turns();
  }
  void ack(std::size_t index, bool stored = true) {
    acked_.insert(index);
    intake_.ack(index, stored);
    turns();
  }
  test::FakeStreams::Stream& broker() { return *io_.streams.back(); }
  void arrive(std::string_view bytes) {
    test::FakeStreams::deliver(broker(), bytes);
    turns();
  }
  /// What we have sent since the last call.
  std::string sent() {
    turns();
    return std::exchange(broker().sent, {});
  }
  void connect() {
    broker().handler->on_connected(0);
    EXPECT_EQ(sent()[0], '\x10');
    arrive({"\x20\x03\x00\x00\x00", 5});
    EXPECT_EQ(sent()[0], '\x82');
    arrive({"\x90\x05\x00\x01\x00\x01\x01", 7});
    EXPECT_TRUE(subscription_->subscribed());
  }
  static std::string publish(std::uint16_t id, std::string_view payload,
                             std::string_view topic = "plant/1",
                             const mqtt::Properties& properties = {}) {
    std::string out(2000, '\0');
    out.resize(mqtt::write_publish(out,
                                   {.topic = topic,
                                    .payload = payload,
                                    .packet_id = id,
                                    .qos = static_cast<std::uint8_t>(id > 0 ? 1 : 0),
                                    .properties = properties},
                                   mqtt::Version::v5));
    return out;
  }
  static std::string puback(char id) { return {'\x40', '\x02', '\0', id}; }

  BrokerIo io_;
  flow::Loop loop_{io_, "test"};
  FakeIntake intake_;
  std::set<std::size_t> acked_;
  std::unique_ptr<BrokerSubscription> subscription_;
};

// Goal: a PUBACK leaves only after storage has spoken; those of one turn leave in one write.
TEST_F(SubscriptionTest, AcknowledgesAfterTheCommit) {
  connect();
  arrive(publish(1, "a") + publish(2, "bad") + publish(3, "c") + publish(0, "d"));
  EXPECT_EQ(intake_.events, (std::vector<std::string>{"plant/1 a", "plant/1 c", "plant/1 d"}));
  EXPECT_EQ(intake_.tokens[2].sink, nullptr);
  EXPECT_EQ(sent(), "");
  ack(1);
  EXPECT_EQ(sent(), "");
  const std::uint32_t sends = broker().sends;
  ack(0);
  EXPECT_EQ(sent(), puback(1) + puback(2) + puback(3));
  EXPECT_EQ(broker().sends, sends + 1);
  EXPECT_EQ(subscription_->refused(flow::Refusal::json_syntax), 1U);
}

// Goal: our own notifications, and what no filter asks for any more, become no events but are
// acknowledged.
TEST_F(SubscriptionTest, IgnoresItsOwn) {
  connect();
  mqtt::PropertyBuilder<64> own;
  own.add_user(flow::own_message_property, "id");
  arrive(publish(1, "a", "notifications/x") + publish(2, "b", "plant/1", own.view()) +
         publish(3, "c", "elsewhere"));
  EXPECT_TRUE(intake_.events.empty());
  EXPECT_EQ(subscription_->ignored(), 2U);
  EXPECT_EQ(sent(), puback(1) + puback(2) + puback(3));
}

// Goal: without room receiving stops; what had arrived is kept and nothing is taken twice.
TEST_F(SubscriptionTest, StopsReceivingWithoutRoom) {
  connect();
  intake_.full = true;
  const std::string two = publish(1, "a") + publish(2, "b");
  arrive(two.substr(0, 30));
  EXPECT_FALSE(broker().receiving);
  arrive(two.substr(30) + publish(3, "c"));
  EXPECT_TRUE(intake_.events.empty());
  intake_.set_full(false);
  EXPECT_EQ(intake_.events.size(), 3U);
  EXPECT_TRUE(broker().receiving);
  // The same for messages that storage has not answered for: receive_maximum of them.
  arrive(publish(4, "d") + publish(5, "e"));
  EXPECT_EQ(intake_.events.size(), 4U);
  EXPECT_FALSE(broker().receiving);
  ack(0);
  EXPECT_EQ(intake_.events.size(), 5U);
  EXPECT_TRUE(broker().receiving);
}

TEST_F(SubscriptionTest, WaitsForItsQuota) {
  connect();
  intake_.quota = true;
  arrive(publish(1, "a"));
  EXPECT_FALSE(broker().receiving);
  intake_.quota = false;
  pass(std::chrono::milliseconds{60});
  EXPECT_EQ(intake_.events.size(), 1U);
  EXPECT_TRUE(broker().receiving);
}

// Goal: a failed commit is no acknowledgement: the connection ends, so that the broker sends the
// message again; an answer that comes after its connection acknowledges nothing.
TEST_F(SubscriptionTest, AFailedCommitIsSentAgain) {
  connect();
  arrive(publish(1, "a") + publish(2, "b"));
  ack(0, false);
  EXPECT_TRUE(broker().closed);
  EXPECT_FALSE(subscription_->subscribed());
  pass(std::chrono::milliseconds{100});
  ASSERT_EQ(io_.streams.size(), 2U);
  connect();
  arrive(publish(7, "a"));
  ack(1);
  EXPECT_EQ(sent(), "");
  ack(2);
  EXPECT_EQ(sent(), puback(7));
}

// Goal: losing the broker is survived with growing waits.
TEST_F(SubscriptionTest, ReconnectsWithBackoff) {
  broker().handler->on_connected(ECONNREFUSED);
  turns();
  for (const int wait_ms : {100, 200, 400, 400}) {
    const std::size_t before = io_.streams.size();
    pass(std::chrono::milliseconds{wait_ms / 2 - 1});
    EXPECT_EQ(io_.streams.size(), before);
    pass(std::chrono::milliseconds{wait_ms / 2 + 1});
    ASSERT_EQ(io_.streams.size(), before + 1);
    broker().handler->on_connected(ECONNREFUSED);
    turns();
  }
  pass(std::chrono::milliseconds{400});
  connect();
  broker().handler->on_end(0);
  turns();
  EXPECT_FALSE(subscription_->subscribed());
  pass(std::chrono::milliseconds{100});
  connect();
}

// Goal: a broker that says nothing is given up, while connecting and later; one that answers pings
// is not, nor is one that we do not listen to ourselves.
TEST_F(SubscriptionTest, KeepsAlive) {
  broker().handler->on_connected(0);
  pass(std::chrono::seconds{11});
  EXPECT_TRUE(broker().closed);
  pass(std::chrono::milliseconds{100});
  connect();
  for (int i = 0; i < 6; ++i) {
    pass(std::chrono::seconds{15});
    if (sent() == std::string("\xc0\x00", 2)) arrive({"\xd0\x00", 2});
    ASSERT_TRUE(subscription_->subscribed());
  }
  intake_.full = true;
  arrive(publish(1, "a"));
  for (int i = 0; i < 4; ++i) pass(std::chrono::seconds{15});
  EXPECT_TRUE(subscription_->subscribed());
  intake_.set_full(false);
  for (int i = 0; i < 4; ++i) pass(std::chrono::seconds{15});
  EXPECT_EQ(subscription_->subscribed(), false);
}

// Goal: leaving waits for what is being stored, acknowledges it, and says goodbye.
TEST_F(SubscriptionTest, LeavesWhenAllIsStored) {
  connect();
  arrive(publish(1, "a"));
  subscription_->close();
  arrive(publish(2, "b"));
  EXPECT_FALSE(subscription_->closed());
  EXPECT_EQ(intake_.events.size(), 1U);
  ack(0);
  EXPECT_EQ(sent(), puback(1) + std::string("\xe0\x00", 2));
  EXPECT_TRUE(broker().closed);
  EXPECT_TRUE(subscription_->closed());
}

TEST_F(SubscriptionTest, LeavesADeadBroker) {
  connect();
  broker().stuck = true;
  arrive(publish(1, "bad"));
  subscription_->close();
  turns();
  EXPECT_FALSE(subscription_->closed());
  pass(std::chrono::seconds{2});
  EXPECT_TRUE(subscription_->closed());
}

}  // namespace
}  // namespace tocsin::ingress
