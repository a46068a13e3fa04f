#include "stages/ingress/mqtt/server.hpp"

#include <gtest/gtest.h>

#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

// Goal: CONNACK tells the truth about what this server can do.
TEST_F(MqttServerTest, ConnackIsTruthful) {
  options_.session_expiry_max_s = 60;
  start();
  mqtt::PropertyBuilder<32> wishes;
  wishes.add_u32(PropertyId::session_expiry_interval, 3600);
  const std::uint32_t client = *io_.accept();
  io_.arrive(client, connect_packet(Version::v5, "", 0, false, {}, wishes.view()));
  turn();
  const std::string bytes = take(client);
  const auto next = mqtt::next_packet(std::as_bytes(std::span(bytes)), 1 << 20);
  ASSERT_EQ(next.status, mqtt::NextPacket::Status::packet);
  const auto connack = mqtt::parse_connack(next.frame, Version::v5);
  ASSERT_TRUE(connack.has_value());
  const mqtt::Properties& p = connack->properties;
  EXPECT_EQ(connack->code, 0);
  EXPECT_FALSE(connack->session_present);
  EXPECT_EQ(p.number(PropertyId::session_expiry_interval, 99), 60U) << "the longest there is";
  EXPECT_EQ(p.number(PropertyId::receive_maximum, 0), options_.receive_maximum);
  EXPECT_EQ(p.number(PropertyId::topic_alias_maximum, 0), options_.topic_alias_max);
  // Absent means that there are no limits (section 3.2.2.3).
  for (const PropertyId id : {PropertyId::maximum_qos, PropertyId::retain_available,
                              PropertyId::shared_subscription_available}) {
    EXPECT_FALSE(p.has(id));
  }
  EXPECT_EQ(p.number(PropertyId::server_keep_alive, 0), options_.keep_alive_max_s);
  EXPECT_TRUE(p.text(PropertyId::assigned_client_identifier).starts_with("tocsin-"));

  const std::uint32_t old = *io_.accept();
  io_.arrive(old, connect_packet(Version::v3_1_1, "dev"));
  turn();
  EXPECT_EQ(take(old), "\x20\x02\x00\x00"s);
}

// Goal: each CONNECT that must be refused is, in the words of its version, and closed.
TEST_F(MqttServerTest, RefusedConnects) {
  start();
  const auto answer = [&](const std::string& bytes) {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, bytes);
    turn();
    EXPECT_TRUE(peer(client).closed);
    return take(client);
  };
  EXPECT_EQ(answer("\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00"s), "\x20\x02\x00\x01"s);
  EXPECT_EQ(answer("\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00"s), "\x20\x03\x00\x84\x00"s);
  EXPECT_EQ(answer(connect_packet(Version::v3_1_1, "", 0, false)), "\x20\x02\x00\x02"s);
  EXPECT_EQ(answer(connect_packet(Version::v3_1_1, "a#")), "\x20\x02\x00\x02"s);
  EXPECT_EQ(answer(connect_packet(Version::v5, "a+")), "\x20\x03\x00\x85\x00"s);
  EXPECT_EQ(answer(connect_packet(Version::v5, "a", 0, true, mqtt::Will{.topic = "$w"})),
            "\x20\x03\x00\x87\x00"s);
  EXPECT_EQ(closed(MqttClose::connect_refused), 6U);
  // First packet not CONNECT, a first packet above its limit, and no memory taken for either.
  EXPECT_EQ(answer("\xc0\x00"s), "");
  EXPECT_EQ(answer("\x10\xff\xff\x03"s), "");
  EXPECT_EQ(closed(MqttClose::packet_too_large), 1U);
  EXPECT_EQ(server_->budget().used(), 0U);
}

TEST_F(MqttServerTest, SecondConnectIsAProtocolError) {
  start();
  const std::uint32_t client = join(Version::v5);
  io_.arrive(client, connect_packet(Version::v5, "dev"));
  turn();
  EXPECT_EQ(take(client), "\xe0\x13\x82\x11\x1f\x00\x0esecond CONNECT"s);
  EXPECT_TRUE(peer(client).closed);
}

TEST_F(MqttServerTest, Timeouts) {
  start();
  const std::uint32_t silent = *io_.accept();
  const std::uint32_t client = *io_.accept();
  io_.arrive(client, connect_packet(Version::v5, "dev", 10));
  turn();
  take(client);
  pass(std::chrono::seconds(10));
  EXPECT_TRUE(peer(silent).closed);
  EXPECT_EQ(closed(MqttClose::connect_timeout), 1U);
  io_.arrive(client, "\xc0\x00"s);
  turn();
  EXPECT_EQ(take(client), "\xd0\x00"s);
  pass(std::chrono::seconds(14));
  EXPECT_FALSE(peer(client).closed);
  pass(std::chrono::seconds(2));
  EXPECT_EQ(take(client), "\xe0\x01\x8d"s);
  EXPECT_TRUE(peer(client).closed);
}

// Goal: PUBACK leaves only after on_ack, and all of a turn leave with one send.
TEST_F(MqttServerTest, PubackAfterStoreInOneSend) {
  start();
  for (const Version version : {Version::v3_1_1, Version::v5}) {
    const std::uint32_t client = join(version, version == Version::v5 ? "five" : "three");
    std::string bytes = publish_packet(version, "devices/1/telemetry", "{\"a\":1}", 1);
    bytes += publish_packet(version, "devices/1/telemetry", "{\"a\":2}", 2);
    bytes += publish_packet(version, "devices/1/telemetry", "{\"a\":3}");
    io_.arrive(client, bytes);
    turn();
    EXPECT_EQ(take(client), "");
    peer(client).sends = 0;
    intake_.ack_all();
    turn();
    EXPECT_EQ(take(client), "\x40\x02\x00\x01\x40\x02\x00\x02"s);
    EXPECT_EQ(peer(client).sends, 1U);
  }
  ASSERT_EQ(intake_.events.size(), 6U);
  EXPECT_EQ(intake_.events[0].envelope, flow::Envelope::device);
  EXPECT_EQ(intake_.events[0].topic, "devices/1/telemetry");
  EXPECT_EQ(intake_.events[2].payload, "{\"a\":3}");
  EXPECT_EQ(intake_.events[2].token.sink, nullptr);
}

// Goal: however the network cuts the stream, the same events arrive.
// Method: cut it in two at every byte, and into single bytes.
TEST_F(MqttServerTest, AnyFragmentation) {
  start();
  const std::string session = connect_packet(Version::v5, "dev") +
                              publish_packet(Version::v5, "t", "first", 1) + "\xc0\x00"s +
                              publish_packet(Version::v5, "t", std::string(300, 'x'), 2);
  for (std::size_t cut = 0; cut <= session.size(); ++cut) {
    const std::uint32_t client = *io_.accept();
    if (cut < session.size()) {
      io_.arrive(client, session.substr(0, cut));
      io_.arrive(client, session.substr(cut));
    } else {
      for (const char byte : session) io_.arrive(client, {&byte, 1});
    }
    turn();
    ASSERT_EQ(intake_.events.size(), 2U) << "cut " << cut;
    EXPECT_EQ(intake_.events[0].payload, "first");
    EXPECT_EQ(intake_.events[1].payload, std::string(300, 'x'));
    EXPECT_TRUE(take(client).ends_with("\xd0\x00"s));
    intake_.ack_all();
    intake_.events.clear();
    intake_.acked = 0;
  }
}

// Goal: while the intake has no capacity nothing is lost, refused or read; then all goes on.
TEST_F(MqttServerTest, CapacityStopsAndResumes) {
  start();
  const std::uint32_t client = join(Version::v3_1_1);
  intake_.capacity = 1;
  std::string bytes;
  for (std::uint16_t i = 1; i <= 4; ++i) bytes += publish_packet(Version::v3_1_1, "t", "x", i);
  io_.arrive(client, bytes);
  io_.arrive(client, publish_packet(Version::v3_1_1, "t", "late", 5).substr(0, 5));
  turn();
  EXPECT_EQ(intake_.events.size(), 1U);
  EXPECT_FALSE(peer(client).receiving);
  EXPECT_GT(server_->budget().used(), 0U);
  intake_.make_ready(2);
  turn();
  EXPECT_EQ(intake_.events.size(), 3U);
  EXPECT_FALSE(peer(client).receiving);
  intake_.make_ready(100);
  turn();
  EXPECT_EQ(intake_.events.size(), 4U);
  EXPECT_TRUE(peer(client).receiving);
  io_.arrive(client, publish_packet(Version::v3_1_1, "t", "late", 5).substr(5));
  ASSERT_EQ(intake_.events.size(), 5U);
  EXPECT_EQ(intake_.events[4].payload, "late");
  intake_.ack_all();
  turn();
  EXPECT_EQ(take(client).size(), 20U);
}

// Goal: events and a DISCONNECT that were held when the client ended its side are still processed.
TEST_F(MqttServerTest, EndOfStreamWhileStopped) {
  start();
  const std::uint32_t client = join(Version::v3_1_1);
  intake_.capacity = 0;
  io_.arrive(client, publish_packet(Version::v3_1_1, "t", "x") + "\xe0\x00"s);
  peer(client).handler->on_end(0);
  turn();
  EXPECT_FALSE(peer(client).closed);
  intake_.make_ready(9);
  turn();
  EXPECT_EQ(intake_.events.size(), 1U);
  EXPECT_TRUE(peer(client).closed);
  EXPECT_EQ(closed(MqttClose::client), 1U);
}

// Goal: a refused event is counted and answered as its version allows.
TEST_F(MqttServerTest, Refusals) {
  start();
  const std::uint32_t five = join(Version::v5, "five");
  const std::uint32_t three = join(Version::v3_1_1, "three");
  const auto answer = [&](std::uint32_t client, Version version, std::string_view topic) {
    io_.arrive(client, publish_packet(version, topic, "x", 7));
    turn();
    return take(client);
  };
  intake_.refuse = flow::Refusal::json_syntax;
  EXPECT_EQ(answer(five, Version::v5, "t"), "\x40\x03\x00\x07\x99"s);
  EXPECT_EQ(answer(three, Version::v3_1_1, "t"), "\x40\x02\x00\x07"s);
  intake_.refuse = flow::Refusal::unknown_source;
  EXPECT_EQ(answer(five, Version::v5, "t"), "\x40\x03\x00\x07\x90"s);
  intake_.refuse.reset();
  EXPECT_EQ(answer(five, Version::v5, "notifications/x"), "\x40\x03\x00\x07\x87"s);
  EXPECT_EQ(answer(three, Version::v3_1_1, "notifications/x"), "");
  EXPECT_TRUE(peer(three).closed);
  EXPECT_TRUE(intake_.events.empty());
  const auto& refused = server_->stats().refused;
  EXPECT_EQ(refused[static_cast<std::size_t>(flow::Refusal::json_syntax)].get(), 2U);
  EXPECT_EQ(refused[static_cast<std::size_t>(flow::Refusal::topic)].get(), 2U);
}

// Goal: a failed commit is never acknowledged as success.
TEST_F(MqttServerTest, FailedCommit) {
  start();
  const std::uint32_t five = join(Version::v5, "five");
  const std::uint32_t three = join(Version::v3_1_1, "three");
  io_.arrive(five, publish_packet(Version::v5, "t", "x", 1));
  io_.arrive(three, publish_packet(Version::v3_1_1, "t", "x", 1));
  intake_.ack_all(false);
  turn();
  EXPECT_EQ(take(five), "\x40\x03\x00\x01\x83"s);
  EXPECT_EQ(take(three), "");
  EXPECT_TRUE(peer(three).closed);
}

// Goal: over 5.0 the receive maximum is a protocol limit; over 3.1.1 the client waits at its
// socket.
TEST_F(MqttServerTest, ReceiveMaximum) {
  options_.receive_maximum = 2;
  start();
  for (const Version version : {Version::v5, Version::v3_1_1}) {
    const std::uint32_t client = join(version);
    for (std::uint16_t i = 1; i <= 3; ++i) io_.arrive(client, publish_packet(version, "t", "x", i));
    turn();
    if (version == Version::v5) {
      EXPECT_EQ(take(client), "\xe0\x01\x93"s);
      intake_.events.clear();
      continue;
    }
    EXPECT_EQ(intake_.events.size(), 2U);
    EXPECT_FALSE(peer(client).receiving);
    intake_.ack_all();
    turn();
    EXPECT_EQ(intake_.events.size(), 3U);
    EXPECT_TRUE(peer(client).receiving);
  }
}

// Goal: the CloudEvents modes are told apart, user properties become attributes.
TEST_F(MqttServerTest, Envelopes) {
  start();
  const std::uint32_t client = join(Version::v5);
  mqtt::PropertyBuilder<256> plain;
  plain.add_user("site", "north");
  plain.add_user("traceparent", "00-ab");
  mqtt::PropertyBuilder<256> binary;
  for (const char* name : {"specversion", "id", "source", "type"}) binary.add_user(name, "1");
  binary.add_text(PropertyId::content_type, "application/json");
  mqtt::PropertyBuilder<256> structured;
  structured.add_text(PropertyId::content_type, "application/CloudEvents+json; charset=utf-8");
  for (const auto& p : {plain.view(), binary.view(), structured.view()}) {
    io_.arrive(client, publish_packet(Version::v5, "t", "{}", 0, p));
  }
  ASSERT_EQ(intake_.events.size(), 4U);
  EXPECT_EQ(intake_.events[0].envelope, flow::Envelope::device);
  EXPECT_EQ(intake_.events[0].attributes, "site=north;");
  EXPECT_EQ(intake_.events[0].traceparent, "00-ab");
  EXPECT_EQ(intake_.events[1].envelope, flow::Envelope::cloudevents_binary);
  EXPECT_EQ(intake_.events[1].attributes, "specversion=1;id=1;source=1;type=1;");
  EXPECT_EQ(intake_.events[1].content_type, "application/json");
  EXPECT_EQ(intake_.events[2].envelope, flow::Envelope::cloudevents);
  EXPECT_EQ(intake_.events[2].properties, "") << "the event alone is not routed";
  EXPECT_EQ(intake_.events[3].envelope, flow::Envelope::message) << "what was sent is";
  EXPECT_EQ(intake_.events[3].payload, "{}");
}

// Goal: the later connection with an identifier wins, in one server and across two.
TEST_F(MqttServerTest, Takeover) {
  start();
  FakeIo other_io;
  flow::Loop other_loop{other_io, "other"};
  FakeIntake other_intake;
  MqttServer other(other_loop, other_intake, options_, make_null_log(), shared_, nullptr);
  ASSERT_TRUE(other.listen({}, false).has_value());
  const std::uint32_t first = join(Version::v5);
  const std::uint32_t second = join(Version::v5);
  EXPECT_EQ(take(first), "\xe0\x01\x8e"s);
  EXPECT_TRUE(peer(first).closed);
  EXPECT_FALSE(peer(second).closed);
  const std::uint32_t third = *other_io.accept();
  other_io.arrive(third, connect_packet(Version::v3_1_1, "dev"));
  for (int i = 0; i < 3; ++i) other_loop.turn(MonoTime::min());
  EXPECT_EQ(other_io.streams[third]->sent, "") << "the other reactor is asked first";
  turn();
  for (int i = 0; i < 3; ++i) other_loop.turn(MonoTime::min());
  EXPECT_EQ(other_io.streams[third]->sent, "\x20\x02\x00\x00"s);
  EXPECT_EQ(take(second), "\xe0\x01\x8e"s);
  EXPECT_EQ(closed(MqttClose::taken_over), 2U);
  EXPECT_EQ(shared_.directory.size(), 1U);
  other.close_now();
  for (int i = 0; i < 3; ++i) other_loop.turn(MonoTime::min());
}

// Goal: an acknowledgement for a connection that is gone does not reach the next one in its slot.
TEST_F(MqttServerTest, StaleAcknowledgement) {
  start();
  const std::uint32_t first = join(Version::v5);
  io_.arrive(first, publish_packet(Version::v5, "t", "x", 1));
  peer(first).handler->on_end(ECONNRESET);
  turn();
  const std::uint32_t second = join(Version::v5);
  intake_.ack_all();
  turn();
  EXPECT_EQ(take(second), "");
}

// Goal: a will becomes an event when the client vanishes, also when capacity comes only later; an
// orderly DISCONNECT revokes it.
TEST_F(MqttServerTest, Wills) {
  start();
  const auto with_will = [&] {
    const std::uint32_t client = *io_.accept();
    io_.arrive(client, connect_packet(Version::v5, "dev", 0, true,
                                      mqtt::Will{.topic = "devices/1/gone", .payload = "{}"}));
    turn();
    return client;
  };
  io_.arrive(with_will(), "\xe0\x00"s);
  turn();
  EXPECT_TRUE(intake_.events.empty());
  intake_.capacity = 0;
  peer(with_will()).handler->on_end(ECONNRESET);
  turn();
  EXPECT_FALSE(server_->closed());
  intake_.make_ready(10);
  turn();
  ASSERT_EQ(intake_.events.size(), 1U);
  EXPECT_EQ(intake_.events[0].topic, "devices/1/gone");
  EXPECT_TRUE(server_->closed());
}

// Goal: a client that asks for answers but does not read them is not read any further.
TEST_F(MqttServerTest, OutputBoundStopsReading) {
  options_.output_bytes_max = 16'384;
  start();
  const std::uint32_t client = join(Version::v5);
  turn();
  peer(client).stuck = true;
  std::string pings;
  for (int i = 0; i < 10'000; ++i) pings += "\xc0\x00"s;
  io_.arrive(client, pings);
  turn();
  EXPECT_FALSE(peer(client).receiving);
  EXPECT_LT(server_->budget().used(), 100'000U);
  peer(client).stuck = false;
  turn(10);
  EXPECT_TRUE(peer(client).receiving);
  EXPECT_EQ(take(client).size(), 20'000U);
}

// Goal: the budget of all buffers holds, and who would break it is closed and counted.
TEST_F(MqttServerTest, CarryBudget) {
  options_.carry_bytes_max = 40'000;
  start();
  const std::uint32_t a = join(Version::v5, "a");
  const std::uint32_t b = join(Version::v5, "b");
  const std::string large = publish_packet(Version::v5, "t", std::string(100'000, 'x'));
  io_.arrive(a, large.substr(0, 25'000));
  EXPECT_FALSE(peer(a).closed);
  io_.arrive(b, large.substr(0, 25'000));
  turn();
  EXPECT_TRUE(peer(b).closed);
  EXPECT_EQ(closed(MqttClose::memory), 1U);
}

// Goal: draining takes nothing new, gives what is owed, says goodbye.
TEST_F(MqttServerTest, Drain) {
  start();
  const std::uint32_t owed = join(Version::v5, "owed");
  const std::uint32_t idle = join(Version::v3_1_1, "idle");
  io_.arrive(owed, publish_packet(Version::v5, "t", "x", 1));
  server_->drain();
  turn();
  EXPECT_EQ(io_.acceptor, nullptr);
  EXPECT_TRUE(peer(idle).closed);
  EXPECT_FALSE(peer(owed).closed);
  intake_.ack_all();
  turn();
  EXPECT_EQ(take(owed), "\x40\x02\x00\x01\xe0\x01\x8b"s);
  EXPECT_TRUE(peer(owed).closed);
  EXPECT_TRUE(server_->closed());
}

TEST_F(MqttServerTest, ConnectionsMax) {
  options_.connections_max = 1;
  start();
  const std::uint32_t first = join(Version::v5);
  EXPECT_FALSE(io_.accept().has_value());
  io_.arrive(first, "\xe0\x00"s);
  turn();
  EXPECT_TRUE(io_.accept().has_value());
}

// Goal: connections whose TLS handshake is not done have their place already.
TEST_F(MqttServerTest, ExpectedConnectionsCount) {
  options_.connections_max = 2;
  start();
  std::uint32_t expected = 1;
  server_->set_expected([&] { return expected; });
  EXPECT_TRUE(io_.accept().has_value());
  EXPECT_EQ(server_->room(), 1U);
  EXPECT_FALSE(io_.accept().has_value());
  expected = 0;
  EXPECT_TRUE(io_.accept().has_value());
}

// Goal: the table's defaults are the structure's, and dangerous listeners are refused.
TEST(MqttOptionsTest, Check) {
  MqttOptions options;
  EXPECT_EQ(options.check(1 << 20), "");
  EXPECT_NE(options.check(1000), "");
  options.listen = {"0.0.0.0:1883"};
  EXPECT_NE(options.check(1 << 20), "");
  options.allow_anonymous = true;
  EXPECT_EQ(options.check(1 << 20), "");
  options.listen = {"localhost"};
  EXPECT_NE(options.check(1 << 20), "");
}

}  // namespace
}  // namespace tocsin::ingress
