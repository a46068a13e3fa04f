#include "stages/ingress/subscription/check.hpp"

#include <gtest/gtest.h>

namespace tocsin::ingress {
namespace {

flow::SubscriptionConfig config(std::string broker, std::vector<std::string> topics) {
  flow::SubscriptionConfig made;
  made.name = "plant";
  made.options.set_text("broker", std::move(broker));
  made.options.set_list("topics", std::move(topics));
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

}  // namespace
}  // namespace tocsin::ingress
