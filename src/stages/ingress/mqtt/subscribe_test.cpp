#include <gtest/gtest.h>

#include <string>

#include "stages/ingress/mqtt/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

// Goal: every filter is answered: granted with the QoS asked for, or refused with its reason.
TEST_F(MqttServerTest, SubscriptionsAreAnswered) {
  options_.subscriptions_max = 3;
  start();
  const std::uint32_t five = join(Version::v5, "five");
  const std::uint32_t three = join(Version::v3_1_1, "three");
  const auto code = [&](std::uint32_t client, Version version, std::string_view filter) {
    io_.arrive(client, subscribe_packet(version, filter, 2));
    turn();
    return static_cast<unsigned char>(take(client).back());
  };
  EXPECT_FALSE(server_->has_subscribers());
  for (const char* filter :
       {"a/#/x", "a+/b", "$share/g", "$share//a", "$share/g+/a", "$share/g/"}) {
    EXPECT_EQ(code(five, Version::v5, filter), 0x8F) << filter;
    EXPECT_EQ(code(three, Version::v3_1_1, filter), 0x80) << filter;
  }
  EXPECT_FALSE(server_->has_subscribers());
  EXPECT_EQ(code(five, Version::v5, "#"), 2);
  EXPECT_EQ(code(five, Version::v5, "devices/+"), 2);
  EXPECT_EQ(code(five, Version::v5, "#"), 2) << "the same one again";
  EXPECT_EQ(code(five, Version::v5, "$share/g/a"), 2);
  EXPECT_EQ(code(five, Version::v5, "notifications/x"), 0x97);
  EXPECT_TRUE(server_->has_subscribers());
  io_.arrive(five, "\xa2\x06\x00\x05\x00\x00\x01#"s);
  turn();
  EXPECT_EQ(take(five), "\xb0\x04\x00\x05\x00\x00"s);
}

// Goal: what bounds subscriptions is their memory: of deep filters there fit few, of shared ones no
// more than of others, and all of it comes back.
TEST_F(MqttServerTest, SubscriptionsAreBoundedByTheirMemory) {
  options_.subscriptions_bytes_max = 200'000;
  options_.subscriptions_max = 1000;
  start();
  const std::uint32_t client = join(Version::v5);
  const auto code = [&](const std::string& filter) {
    io_.arrive(client, subscribe_packet(Version::v5, filter, 1));
    turn();
    return static_cast<unsigned char>(take(client).back());
  };
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "/a";
  for (const std::string prefix : {"", "$share/g/"}) {
    int granted = 0;
    while (granted < 1000 && code(prefix + std::to_string(granted) + deep) == 1) ++granted;
    EXPECT_GT(granted, 5) << prefix;
    EXPECT_LT(granted, 25) << prefix;
    EXPECT_LE(server_->router().subscription_bytes(), 200'000U);
    EXPECT_EQ(code(prefix + "x" + deep), 0x97);
    while (granted-- > 0) {
      const std::string filter = prefix + std::to_string(granted) + deep;
      io_.arrive(client, written([&](auto out) {
                   const std::array filters{mqtt::Filter{.filter = filter}};
                   return mqtt::write_unsubscribe(out, 9, filters, {}, Version::v5);
                 }));
      turn();
      EXPECT_EQ(take(client).back(), '\0');
    }
    EXPECT_EQ(server_->router().subscription_bytes(), 0U);
    EXPECT_EQ(code(prefix + std::string(flow::topic_levels_max, '/')), 0x97) << "too deep";
  }
}

// Goal: notifications reach subscribers at the smaller QoS, within the client's window, in order.
TEST_F(MqttServerTest, NotificationsWithinTheWindow) {
  start();
  mqtt::PropertyBuilder<8> one;
  one.add_u16(PropertyId::receive_maximum, 1);
  const std::uint32_t slow = join(Version::v5, "slow", one.view());
  const std::uint32_t plain = join(Version::v3_1_1, "plain");
  io_.arrive(slow, subscribe_packet(Version::v5, "notifications/+", 1));
  io_.arrive(plain, subscribe_packet(Version::v3_1_1, "notifications/a", 0));
  turn();
  take(slow);
  take(plain);
  EXPECT_TRUE(hub_.publish("notifications/a", "1", 1));
  EXPECT_TRUE(hub_.publish("notifications/b", "2", 1));
  EXPECT_FALSE(hub_.publish("devices/x", "3", 1)) << "not a notification topic";
  turn();
  EXPECT_EQ(take(plain), publish_packet(Version::v3_1_1, "notifications/a", "1"));
  EXPECT_EQ(take(slow), publish_packet(Version::v5, "notifications/a", "1", 1));
  io_.arrive(slow, "\x40\x02\x00\x01"s);
  turn();
  EXPECT_EQ(take(slow), publish_packet(Version::v5, "notifications/b", "2", 2));
  EXPECT_EQ(hub_.bytes_used(), 0U);
}

// Goal: a client that reads nothing costs a bounded amount: QoS 0 is dropped, QoS 1 waits up to its
// bound, and then what is new is dropped and counted.
TEST_F(MqttServerTest, SlowSubscriber) {
  options_.output_bytes_max = 16'384;
  options_.session_messages_max = 2;
  start();
  const std::uint32_t zero = join(Version::v5, "zero");
  const std::uint32_t one = join(Version::v5, "one");
  subscribe(zero, Version::v5, {.filter = "notifications/#", .qos = 0});
  subscribe(one, Version::v5, {.filter = "notifications/#", .qos = 1});
  peer(zero).stuck = peer(one).stuck = true;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(hub_.publish("notifications/a", std::string(4000, 'x'), 1));
    turn();
    EXPECT_LT(server_->budget().used(), 120'000U);
  }
  const auto dropped = [&](MqttDrop reason) {
    return server_->stats().dropped[static_cast<std::size_t>(reason)].get();
  };
  EXPECT_EQ(dropped(MqttDrop::slow), 4U);
  EXPECT_EQ(dropped(MqttDrop::queue_full), 2U);
  peer(one).stuck = false;
  turn(6);
  EXPECT_FALSE(peer(one).closed);
  EXPECT_GT(take(one).size(), 6 * 4000U) << "what waited came later";
}

}  // namespace
}  // namespace tocsin::ingress
