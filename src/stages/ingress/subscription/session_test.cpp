#include "stages/ingress/subscription/session.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <vector>

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;
using Status = SubscriberSession::Status;
using Taken = SubscriberSession::Taken;

template <class Write>
std::string written(Write&& write) {
  std::string out(4096, '\0');
  out.resize(write(std::span<char>(out)));
  return out;
}

class Broker final : public SubscriberSession::Handler {
 public:
  explicit Broker(std::uint8_t qos = 1, bool version_5 = true)
      : version(version_5 ? mqtt::Version::v5 : mqtt::Version::v3_1_1),
        session({.version_5 = version_5,
                 .client_id = "us",
                 .session_expiry_s = 60,
                 .receive_max = 3,
                 .packet_size_max = 100,
                 .filters = {"a/#", "b"},
                 .qos = qos},
                *this) {}

  Taken on_publish(const mqtt::Publish& message, AckWindow::Number number) noexcept override {
    if (room == 0) return Taken::wait;
    --room;
    messages.emplace_back(message.payload);
    numbers.push_back(number);
    return message.payload == "bad" ? Taken::done : Taken::pending;
  }
  void on_skipped(std::size_t size) noexcept override { skipped.push_back(size); }
  void on_subscribed(std::uint8_t granted_qos) noexcept override { granted = granted_qos; }

  std::string connack(bool present = false, std::uint8_t code = 0) const {
    return written([&](auto out) {
      return mqtt::write_connack(out, {.session_present = present, .code = code, .properties = {}},
                                 version);
    });
  }
  std::string suback(std::string_view codes) const {
    return written([&](auto out) {
      return mqtt::write_suback(out, {.packet_id = 1, .properties = {}, .codes = codes}, version);
    });
  }
  std::string publish(std::uint16_t id, std::string_view payload, std::uint8_t qos = 1) const {
    return written([&](auto out) {
      return mqtt::write_publish(
          out, {.topic = "a/b", .payload = payload, .packet_id = id, .qos = qos, .properties = {}},
          version);
    });
  }
  std::string pubrel(std::uint16_t id) const {
    return written([&](auto out) {
      return mqtt::write_ack(out, {.type = PacketType::pubrel, .packet_id = id, .properties = {}},
                             version);
    });
  }
  void connect(bool present = false) {
    session.begin();
    (void)take_output();
    ASSERT_EQ(feed(connack(present)), Status::more);
    ASSERT_EQ(feed(suback({"\x02\x01", 2})), Status::more);
    ASSERT_TRUE(session.subscribed());
    (void)take_output();
  }
  // What stays unconsumed is offered again with what comes next.
  Status feed(std::string_view bytes) {
    input += bytes;
    std::size_t consumed = 0;
    const Status status = session.feed(input, consumed);
    input.erase(0, consumed);
    return status;
  }
  std::string take_output() { return std::exchange(session.output(), {}); }
  // The acknowledgements that the session sends now: "type id reason;".
  std::string acks() {
    session.write_acks();
    const std::string out = take_output();
    std::string text;
    std::span<const std::byte> rest = std::as_bytes(std::span(out));
    while (!rest.empty()) {
      const auto next = mqtt::next_packet(rest, 1 << 20);
      EXPECT_EQ(next.status, mqtt::NextPacket::Status::packet);
      const auto ack = mqtt::parse_ack(next.frame, version);
      EXPECT_TRUE(ack.has_value());
      text.append(mqtt::to_string(ack->type)).append(" ").append(std::to_string(ack->packet_id));
      text += ack->reason == mqtt::ReasonCode::success ? ";" : "!;";
      rest = rest.subspan(next.frame.size);
    }
    return text;
  }

  mqtt::Version version;
  std::size_t room = SIZE_MAX;
  std::vector<std::string> messages;
  std::deque<AckWindow::Number> numbers;
  std::vector<std::size_t> skipped;
  int granted = -1;
  std::string input;
  SubscriberSession session;
};

TEST(SubscriberSession, ConnectsAndSubscribesToEverything) {
  for (const bool v5 : {true, false}) {
    Broker broker(2, v5);
    broker.session.begin();
    std::string out = broker.take_output();
    const auto connect =
        mqtt::parse_connect(mqtt::next_packet(std::as_bytes(std::span(out)), 1 << 20).frame);
    ASSERT_TRUE(connect.has_value());
    EXPECT_FALSE(connect->clean_start);
    EXPECT_EQ(connect->client_id, "us");
    EXPECT_EQ(connect->properties.number(mqtt::PropertyId::session_expiry_interval, 0),
              v5 ? 60U : 0U);
    EXPECT_EQ(connect->properties.number(mqtt::PropertyId::receive_maximum, 0), v5 ? 3U : 0U);
    ASSERT_EQ(broker.feed(broker.connack()), Status::more);
    out = broker.take_output();
    const auto subscribe = mqtt::parse_subscribe(
        mqtt::next_packet(std::as_bytes(std::span(out)), 1 << 20).frame, broker.version);
    ASSERT_TRUE(subscribe.has_value());
    std::string filters;
    subscribe->for_each([&](const mqtt::Filter& f) { filters.append(f.filter).append(" "); });
    EXPECT_EQ(filters, "a/# b ");
    EXPECT_EQ(broker.granted, -1);
    ASSERT_EQ(broker.feed(broker.suback({"\x02\x01", 2})), Status::more);
    EXPECT_EQ(broker.granted, 1);
  }
}

// Goal: nothing is acknowledged before it is stored, and everything in the order of arrival.
TEST(SubscriberSession, AcknowledgesWhatIsStoredInOrder) {
  Broker broker;
  broker.connect();
  EXPECT_EQ(broker.feed(broker.publish(7, "1") + broker.publish(5, "bad") + broker.publish(6, "3")),
            Status::more);
  EXPECT_EQ(broker.acks(), "");
  broker.session.settle(broker.numbers[2]);
  EXPECT_EQ(broker.acks(), "");
  broker.session.settle(broker.numbers[0]);
  EXPECT_EQ(broker.acks(), "puback 7;puback 5;puback 6;");
  EXPECT_EQ(broker.acks(), "");
}

// Goal: no more messages are taken than may wait, whatever the broker sends; none is lost.
TEST(SubscriberSession, WaitsForRoom) {
  Broker broker;
  broker.connect();
  std::string all;
  for (std::uint16_t id = 1; id <= 5; ++id) all += broker.publish(id, std::to_string(id));
  EXPECT_EQ(broker.feed(all), Status::wait);
  EXPECT_EQ(broker.session.unacknowledged(), 3U);
  broker.session.settle(broker.numbers[0]);
  EXPECT_EQ(broker.acks(), "puback 1;");
  broker.room = 0;
  EXPECT_EQ(broker.feed(""), Status::wait);
  EXPECT_EQ(broker.session.unacknowledged(), 2U);
  broker.room = SIZE_MAX;
  EXPECT_EQ(broker.feed(""), Status::wait);
  for (const auto number : {broker.numbers[1], broker.numbers[2]}) broker.session.settle(number);
  EXPECT_EQ(broker.acks(), "puback 2;puback 3;");
  EXPECT_EQ(broker.feed(""), Status::more);
  EXPECT_EQ(broker.messages, (std::vector<std::string>{"1", "2", "3", "4", "5"}));
}

// Goal: over QoS 2 a message counts once, across a lost connection too, while the broker remembers
// the session; PUBREL is always answered.
TEST(SubscriberSession, QosTwo) {
  Broker broker(2);
  broker.connect();
  ASSERT_EQ(broker.feed(broker.publish(9, "1", 2)), Status::more);
  EXPECT_EQ(broker.acks(), "");
  broker.session.settle(broker.numbers[0]);
  EXPECT_EQ(broker.acks(), "pubrec 9;");
  ASSERT_EQ(broker.feed(broker.publish(9, "1", 2)), Status::more);
  EXPECT_EQ(broker.acks(), "pubrec 9;");
  broker.connect(true);
  ASSERT_EQ(broker.feed(broker.publish(9, "1", 2)), Status::more);
  EXPECT_EQ(broker.messages.size(), 1U);
  ASSERT_EQ(broker.feed(broker.pubrel(9) + broker.pubrel(9)), Status::more);
  EXPECT_EQ(broker.acks(), "pubrec 9;pubcomp 9;pubcomp 9!;");
  ASSERT_EQ(broker.feed(broker.publish(9, "2", 2)), Status::more);
  broker.session.settle(broker.numbers[1]);
  EXPECT_EQ(broker.acks(), "pubrec 9;");
  broker.connect(false);
  ASSERT_EQ(broker.feed(broker.publish(9, "3", 2)), Status::more);
  EXPECT_EQ(broker.messages, (std::vector<std::string>{"1", "2", "3"}));
}

// Goal: bytes may be cut anywhere; a message that is too large is skipped, acknowledged in its
// place, and never held.
TEST(SubscriberSession, CutsAndSkips) {
  for (const std::uint8_t qos : std::array<std::uint8_t, 2>{1, 2}) {
    Broker broker(qos);
    broker.connect();
    const std::string all = broker.publish(1, "x", qos) +
                            broker.publish(2, std::string(3000, 'y'), qos) +
                            broker.publish(3, "bad", qos);
    for (const char byte : all) {
      ASSERT_EQ(broker.feed({&byte, 1}), Status::more);
      ASSERT_LE(broker.input.size(), 100U);
    }
    EXPECT_EQ(broker.messages, (std::vector<std::string>{"x", "bad"}));
    ASSERT_EQ(broker.skipped.size(), 1U);
    broker.session.settle(broker.numbers[0]);
    EXPECT_EQ(broker.acks(),
              qos == 1 ? "puback 1;puback 2;puback 3;" : "pubrec 1;pubrec 2;pubrec 3;");
  }
}

TEST(SubscriberSession, SaysWhyItFailed) {
  struct Case {
    std::string bytes;
    std::string why;
    bool subscribe;
  };
  Broker any;
  const std::string up = any.connack() + any.suback({"\x01\x01", 2});
  const std::vector<Case> cases{
      {any.connack(false, 0x87), "not authorized", false},
      {any.suback({"\x01\x01", 2}), "no CONNACK", false},
      {any.connack() + any.suback({"\x01\x87", 2}), "not authorized", true},
      {any.connack() + any.suback({"\x01", 1}), "SUBACK does not answer", false},
      {up + any.suback({"\x01\x01", 2}), "SUBACK does not answer", false},
      {up + std::string("\xe0\x01\x8e"), "session taken over", false},
      {up + any.publish(1, "x", 2), "QoS 2", false},
      {up + std::string("\x30\x02\x00\x00", 4), "breaks the protocol", false},
      {up + std::string("\xc0\x00", 2), "unexpected pingreq", false},
      {up + std::string("\x40\x7f", 2), "packet too large", false},
      // The topic would end behind the packet, in bytes that have come already.
      {up + std::string("\x30\x7f\x01\x00", 4) + std::string(300, 'y'), "PUBLISH length", false},
  };
  for (const Case& c : cases) {
    Broker broker;
    broker.session.begin();
    EXPECT_EQ(broker.feed(c.bytes), Status::failed) << c.why;
    EXPECT_NE(broker.session.failure().why.find(c.why), std::string::npos)
        << broker.session.failure().why;
    EXPECT_EQ(broker.session.failure().subscribe, c.subscribe);
    EXPECT_EQ(broker.feed("x"), Status::failed);
  }
  Broker old(1, false);
  old.session.begin();
  EXPECT_EQ(old.feed(old.connack(false, 5)), Status::failed);
  EXPECT_EQ(old.session.failure().why, "not authorized");
}

}  // namespace
}  // namespace tocsin::ingress
