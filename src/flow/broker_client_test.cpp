#include "flow/broker_client.hpp"

#include <gtest/gtest.h>

namespace tocsin::flow {
namespace {

// Goal: a broker's address is read exactly, and anything unusual is refused, not guessed.
TEST(BrokerUri, IsReadOrRefused) {
  EXPECT_EQ(parse_broker_uri("mqtt://Host.example"), (BrokerUri{false, "host.example", 1883}));
  EXPECT_EQ(parse_broker_uri("mqtts://host"), (BrokerUri{true, "host", 8883}));
  EXPECT_EQ(parse_broker_uri("mqtts://10.0.0.1:99/"), (BrokerUri{true, "10.0.0.1", 99}));
  EXPECT_EQ(parse_broker_uri("mqtt://[::1]:1884"), (BrokerUri{false, "::1", 1884}));
  for (const char* bad : {"", "host", "tcp://host", "http://host", "mqtt://", "mqtt://:1883",
                          "mqtt://user:secret@host", "mqtt://host:0", "mqtt://host:65536",
                          "mqtt://host:18 83", "mqtt://host:", "mqtt://host/path", "mqtt://[::1",
                          "mqtt://[]", "mqtt://[::1]x", "mqtt://ho st"}) {
    EXPECT_FALSE(parse_broker_uri(bad)) << bad;
  }
}

// Goal: the cover of a template matches whatever its placeholders become.
TEST(TopicCover, EndsBeforeTheFirstPlaceholder) {
  EXPECT_EQ(topic_cover("a/b"), "a/b");
  EXPECT_EQ(topic_cover("a/{rule}/b"), "a/#");
  EXPECT_EQ(topic_cover("a/x{rule}"), "a/#");
  EXPECT_EQ(topic_cover("{recipient}"), "#");
}

// Goal: waits grow to the maximum, stay within their step, and begin again after a success.
TEST(Backoff, GrowsAndResets) {
  using std::chrono::seconds;
  Backoff backoff(seconds{1}, seconds{8});
  for (const int step : {1, 2, 4, 8, 8}) {
    const Duration wait = backoff.next(UINT64_MAX / 3);
    EXPECT_GE(wait, seconds{step} / 2);
    EXPECT_LE(wait, seconds{step});
  }
  backoff.reset();
  EXPECT_LE(backoff.next(7), seconds{1});
}

}  // namespace
}  // namespace tocsin::flow
