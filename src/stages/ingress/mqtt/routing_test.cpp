#include <gtest/gtest.h>

#include <string>

#include "flow/batch.hpp"
#include "flow/route_info.hpp"
#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PacketType;

// Goal: a message reaches whoever subscribes, at the smaller QoS, in the words of its version, and
// nobody else; topics of the server's own are not selected by a leading wildcard.
TEST_F(MqttServerTest, RoutesByFilter) {
  start();
  const std::uint32_t three = join(Version::v3_1_1, "three");
  const std::uint32_t five = join(Version::v5, "five");
  subscribe(three, Version::v3_1_1, {.filter = "a/+", .qos = 0});
  subscribe(five, Version::v5, {.filter = "#", .qos = 2});
  route({.topic = "a/b", .payload = "1", .qos = 2});
  EXPECT_EQ(take(three), publish_packet(Version::v3_1_1, "a/b", "1"));
  EXPECT_EQ(take(five),
            packet_of(Version::v5, {.topic = "a/b", .payload = "1", .packet_id = 1, .qos = 2}));
  route({.topic = "c", .payload = "2"});
  EXPECT_EQ(take(three), "");
  EXPECT_EQ(take(five), publish_packet(Version::v5, "c", "2"));
  route({.topic = "$SYS/x", .payload = "3"});
  EXPECT_EQ(take(five), "");
}

// Goal: several subscriptions that match are one copy with the best QoS and all identifiers
// ([MQTT-3.3.4-2], [MQTT-3.3.4-4]).
TEST_F(MqttServerTest, OverlappingSubscriptions) {
  start();
  const std::uint32_t client = join(Version::v5);
  mqtt::PropertyBuilder<8> one;
  one.add_varint(PropertyId::subscription_identifier, 1);
  mqtt::PropertyBuilder<8> two;
  two.add_varint(PropertyId::subscription_identifier, 200);
  subscribe(client, Version::v5, {.filter = "a/#", .qos = 0}, one.view());
  subscribe(client, Version::v5, {.filter = "a/b", .qos = 1}, two.view());
  subscribe(client, Version::v5, {.filter = "a/+", .qos = 0});
  route({.topic = "a/b", .payload = "x", .qos = 1});
  const std::string bytes = take(client);
  const auto next = mqtt::next_packet(std::as_bytes(std::span(bytes)), 1000);
  ASSERT_EQ(next.status, mqtt::NextPacket::Status::packet);
  EXPECT_EQ(next.frame.size, bytes.size()) << "one copy";
  const auto publish = mqtt::parse_publish(next.frame, Version::v5);
  ASSERT_TRUE(publish.has_value());
  EXPECT_EQ(publish->qos, 1);
  const std::string_view block = publish->properties.block();
  EXPECT_TRUE(block == "\x0b\x01\x0b\xc8\x01"s || block == "\x0b\xc8\x01\x0b\x01"s);
}

// Goal: no local, retain as published (section 3.8.3.1).
TEST_F(MqttServerTest, SubscriptionOptionsHold) {
  start();
  const std::uint32_t client = join(Version::v5, "me");
  subscribe(client, Version::v5, {.filter = "a", .no_local = true});
  subscribe(client, Version::v5, {.filter = "b", .retain_as_published = true});
  io_.arrive(client, publish_packet(Version::v5, "a", "x"));
  ASSERT_EQ(intake_.events.size(), 1U);
  EXPECT_EQ(intake_.events[0].publisher, "me") << "the journal must know";
  route({.topic = "a", .payload = "1", .publisher = "me"});
  EXPECT_EQ(take(client), "");
  route({.topic = "a", .payload = "2", .publisher = "you", .retain = true});
  EXPECT_EQ(take(client), publish_packet(Version::v5, "a", "2"));
  route({.topic = "b", .payload = "3", .retain = true});
  EXPECT_EQ(take(client), packet_of(Version::v5, {.topic = "b", .payload = "3", .retain = true}));
}

// Goal: properties are forwarded in order; the expiry shrinks by the time spent here, and what has
// expired is not sent (section 3.3.2.3).
TEST_F(MqttServerTest, ForwardsProperties) {
  start();
  const std::uint32_t publisher = join(Version::v5, "publisher");
  const auto [subscriber, present] = join_session(Version::v5, "subscriber");
  subscribe(subscriber, Version::v5, {.filter = "#", .qos = 1});
  mqtt::PropertyBuilder<128> sent;
  sent.add_user("b", "1");
  sent.add_text(PropertyId::response_topic, "r");
  sent.add_u16(PropertyId::topic_alias, 3);
  sent.add_u32(PropertyId::message_expiry_interval, 10);
  sent.add_user("a", "2");
  io_.arrive(publisher, publish_packet(Version::v5, "t", "x", 1, sent.view()));
  ASSERT_EQ(intake_.events.size(), 1U);
  const std::string forwarded = intake_.events[0].properties;
  mqtt::PropertyBuilder<128> wanted;
  wanted.add_user("b", "1");
  wanted.add_text(PropertyId::response_topic, "r");
  wanted.add_u32(PropertyId::message_expiry_interval, 10);
  wanted.add_user("a", "2");
  EXPECT_EQ(forwarded, wanted.view().block());
  io_.arrive(subscriber, "\xe0\x00"s);
  turn();
  const MonoTime expires = loop_.now() + std::chrono::seconds(10);
  for (const char* topic : {"t", "u"}) {
    route({.topic = topic, .payload = "x", .properties = forwarded, .qos = 1, .expires = expires});
  }
  pass(std::chrono::milliseconds(3500));
  const auto [again, resumed] = join_session(Version::v5, "subscriber");
  EXPECT_TRUE(resumed);
  mqtt::PropertyBuilder<128> left;
  left.add_user("b", "1");
  left.add_text(PropertyId::response_topic, "r");
  left.add_user("a", "2");
  left.add_u32(PropertyId::message_expiry_interval, 7);
  EXPECT_EQ(take(again), publish_packet(Version::v5, "t", "x", 1, left.view()) +
                             publish_packet(Version::v5, "u", "x", 2, left.view()));
  io_.arrive(again, "\xe0\x00"s);
  turn();
  route({.topic = "v", .payload = "x", .properties = forwarded, .qos = 1, .expires = expires});
  pass(std::chrono::seconds(7));
  const auto [late, still] = join_session(Version::v5, "subscriber");
  turn();
  EXPECT_EQ(take(late).find('v'), std::string::npos) << "expired";
  EXPECT_EQ(server_->stats().dropped[static_cast<std::size_t>(MqttDrop::expired)].get(), 1U);
}

// Goal: a client gets no packet above its maximum size, and our aliases save the topic.
TEST_F(MqttServerTest, ClientLimits) {
  start();
  mqtt::PropertyBuilder<16> wishes;
  wishes.add_u32(PropertyId::maximum_packet_size, 60);
  wishes.add_u16(PropertyId::topic_alias_maximum, 1);
  const std::uint32_t client = join(Version::v5, "small", wishes.view());
  subscribe(client, Version::v5, {.filter = "#", .qos = 1});
  route({.topic = "t", .payload = std::string(100, 'x'), .qos = 1});
  EXPECT_EQ(take(client), "");
  EXPECT_EQ(server_->stats().dropped[static_cast<std::size_t>(MqttDrop::too_large)].get(), 1U);
  mqtt::PropertyBuilder<8> alias;
  alias.add_u16(PropertyId::topic_alias, 1);
  route({.topic = "devices/1/state", .payload = "1"});
  route({.topic = "devices/1/state", .payload = "2"});
  route({.topic = "devices/2/state", .payload = "3"});
  EXPECT_EQ(take(client), publish_packet(Version::v5, "devices/1/state", "1", 0, alias.view()) +
                              publish_packet(Version::v5, "", "2", 0, alias.view()) +
                              publish_packet(Version::v5, "devices/2/state", "3"));
}

// Goal: however little of the budget is left, a message goes out with an alias, without one, or not
// at all. Method: every remainder there can be; each message asks for an alias of its own.
TEST_F(MqttServerTest, AliasesWithoutMemory) {
  options_.topic_alias_max = 2000;
  start();
  mqtt::PropertyBuilder<8> wishes;
  wishes.add_u16(PropertyId::topic_alias_maximum, 2000);
  const std::uint32_t client = join(Version::v5, "dev", wishes.view());
  subscribe(client, Version::v5, {.filter = "#", .qos = 0});
  ByteBudget& budget = server_->budget();
  std::size_t with = 0;
  std::size_t without = 0;
  for (std::size_t left = 0; left < 1500; ++left) {
    const std::size_t taken = budget.max() - budget.used() - left;
    ASSERT_TRUE(budget.charge(taken));
    const std::string topic = std::to_string(left) + std::string(300, 't');
    const std::string payload(300, 'x');
    server_->router().route({.topic = topic, .payload = payload});
    budget.refund(taken);
    turn();
    mqtt::PropertyBuilder<8> alias;
    alias.add_u16(PropertyId::topic_alias, static_cast<std::uint16_t>(with + 1));
    const std::string sent = take(client);
    if (sent == publish_packet(Version::v5, topic, payload, 0, alias.view())) {
      ++with;
    } else if (!sent.empty()) {
      EXPECT_EQ(sent, publish_packet(Version::v5, topic, payload));
      ++without;
    }
  }
  EXPECT_GT(with, 0U);
  EXPECT_GT(without, 0U);
  EXPECT_EQ(
      with + without + server_->stats().dropped[static_cast<std::size_t>(MqttDrop::slow)].get(),
      1500U);
}

// Goal: a turn ends after a bounded number of deliveries, however few records they come from.
TEST_F(MqttServerTest, FanOutIsBoundedInATurn) {
  start();
  constexpr std::uint32_t subscribers = 40;
  constexpr std::uint32_t records = 100;
  for (std::uint32_t i = 0; i < subscribers; ++i) {
    const std::uint32_t client = join(Version::v3_1_1, std::to_string(i));
    const std::string group = "$share/" + std::to_string(i) + "/t";
    subscribe(client, Version::v3_1_1, {.filter = i % 2 == 0 ? "t" : group});
  }
  flow::BatchPool pool(1, std::size_t{256} * 1024);
  flow::Batch& batch = *pool.acquire();
  batch.open(Level::stored, WallTime{}, loop_.now(), {}, true);
  const std::string source = static_cast<char>(AttributeTag::source) + "\x01\x00t"s;
  for (std::uint32_t i = 0; i < records; ++i) {
    RecordHeader header{};
    header.mqtt = flow::mqtt_routed_bit;
    header.payload_size = 1;
    *batch.payload_tail() = 'x';
    batch.append(header, source, loop_.now(), {});
  }
  batch.seal();
  batch.assign(1, 1);
  Router& router = server_->router();
  router.on_batch(&batch);
  const Counter& delivered = server_->stats().delivered;
  std::uint64_t before = 0;
  std::uint32_t turns = 1;
  for (; !router.work(); ++turns) {
    EXPECT_GT(delivered.get(), before);
    EXPECT_LE(delivered.get() - before, 1024U + subscribers);
    before = delivered.get();
  }
  EXPECT_EQ(turns, 4U);
  EXPECT_EQ(delivered.get(), std::uint64_t{subscribers} * records);
  EXPECT_EQ(pool.available(), 1U);
}

// Goal: each message goes to one member of a group, in turn among those who are there, and to
// ordinary subscribers besides (section 4.8.2).
TEST_F(MqttServerTest, SharedSubscriptions) {
  start();
  const std::uint32_t a = join(Version::v5, "a");
  const std::uint32_t b = join(Version::v5, "b");
  const std::uint32_t plain = join(Version::v3_1_1, "plain");
  for (const std::uint32_t client : {a, b}) {
    subscribe(client, Version::v5, {.filter = "$share/g/t/+", .qos = 1});
  }
  subscribe(plain, Version::v3_1_1, {.filter = "t/1", .qos = 0});
  for (int i = 0; i < 4; ++i) route({.topic = "t/1", .payload = "x"});
  const std::string one = publish_packet(Version::v5, "t/1", "x");
  EXPECT_EQ(take(a), one + one);
  EXPECT_EQ(take(b), one + one);
  EXPECT_EQ(take(plain).size(), 4 * one.size() - 4) << "3.1.1 has no properties";
  io_.arrive(a, "\xe0\x00"s);
  turn();
  route({.topic = "t/1", .payload = "x"});
  route({.topic = "t/1", .payload = "x"});
  EXPECT_EQ(take(b), one + one);
  io_.arrive(b, "\xe0\x00"s);
  io_.arrive(plain, "\xe0\x00"s);
  turn();
  EXPECT_FALSE(server_->has_subscribers());
}

// Goal: the retained table follows what is published, and subscribers get it as their retain
// handling says (section 3.3.1.3).
TEST_F(MqttServerTest, RetainedMessages) {
  start();
  server_->router().restore_retained(
      "s/1", encode_message({.topic = "s/1", .payload = "old", .qos = 1, .retain = true},
                            server_->wall_offset()));
  const std::uint32_t client = join(Version::v5);
  const auto answer = [&](const mqtt::Filter& filter) {
    io_.arrive(client, subscribe_packet(Version::v5, filter));
    turn();
    return take(client).substr(6);
  };
  const std::string retained =
      packet_of(Version::v5, {.topic = "s/1", .payload = "old", .retain = true});
  EXPECT_EQ(answer({.filter = "s/+"}), retained);
  EXPECT_EQ(answer({.filter = "s/+"}), retained) << "each SUBSCRIBE asks anew";
  EXPECT_EQ(answer({.filter = "s/+", .retain_handling = 1}), "");
  EXPECT_EQ(answer({.filter = "s/#", .retain_handling = 1}), retained);
  EXPECT_EQ(answer({.filter = "s/1", .retain_handling = 2}), "");
  EXPECT_EQ(answer({.filter = "$share/g/s/1"}), "") << "never for shared subscriptions";
}

}  // namespace
}  // namespace tocsin::ingress
