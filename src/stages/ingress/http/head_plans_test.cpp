// Requests whose head has been seen before mean what they meant the first time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/ingress/http/server.hpp"
#include "stages/ingress/http/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string post(std::string_view path, std::string_view fields, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

class HttpHeadPlansTest : public test::HttpFixture {
 protected:
  void SetUp() override { start(); }
  std::string ask(test::FakeIo::Stream& client, std::string_view bytes) {
    const std::size_t first = intake_.acks.size();
    client.sent.clear();
    test::FakeIo::deliver(client, bytes);
    for (std::size_t i = first; i < intake_.acks.size(); ++i) intake_.settle(i, true);
    turns();
    return client.sent;
  }
  test::FakeIo::Stream& connect_beyond_loopback() {
    io_.streams.push_back(std::make_unique<test::FakeIo::Stream>());
    auto& client = *io_.streams.back();
    const auto slot = static_cast<std::uint32_t>(io_.streams.size() - 1);
    client.handler = server_->accept(io_, {.slot = slot, .generation = 1}, {}, "");
    return client;
  }
};

// Goal: every repetition is taken, answered and counted like the first.
TEST_F(HttpHeadPlansTest, EveryTimeTheSame) {
  const std::string json = "Content-Type: application/json\r\n";
  const std::string single = "/api/events";
  const std::string requests[] = {
      post(single, json + "Tocsin-Ack: stored\r\n", "{}"),
      post(single, json + "Tocsin-Ack: accepted\r\nTraceparent: 00-1-1-01\r\n", "{}"),
      post(single, "", "{}"),
      post(single, "Content-Type: application/cloudevents+json\r\n", "{}"),
      post(single, "Content-Type: text/plain\r\nce-id: 1\r\nce-type: a%20b\r\n", "{}"),
      post(single, "Content-Type: application/cloudevents-batch+json\r\n", "[1,2]"),
      post(single + "/batch", json, "[1,2]"),
      post(single + "/batch", "Content-Type: application/x-ndjson\r\n", "1\n2"),
      post(single, json + "Tocsin-Ack: never\r\n", "{}"),
      post(single, "Content-Type: text/plain\r\n", "{}"),
      post(single, json + "Content-Encoding: br\r\n", "{}"),
      post(single, json + "Origin: http://evil.example\r\n", "{}"),
      "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
  };
  for (const std::string& request : requests) {
    auto& client = io_.connect_client();
    std::vector<std::string> seen;
    for (int i = 0; i < 4; ++i) {
      intake_.next_id = 1;
      intake_.events.clear();
      intake_.forms.clear();
      intake_.acks.clear();
      std::string text = ask(client, request);
      for (const auto& event : intake_.events) {
        text += std::to_string(static_cast<int>(event.envelope)) + event.payload + "|" +
                event.content_type + "|" + event.traceparent + "|" +
                (event.level ? std::to_string(static_cast<int>(*event.level)) : "none");
        for (const auto& [name, value] : event.attributes) text.append(name).append(value);
      }
      for (const auto form : intake_.forms) text += std::to_string(static_cast<int>(form));
      seen.push_back(text);
    }
    EXPECT_THAT(seen.front(), StartsWith("HTTP/1.1 "));
    EXPECT_EQ(seen, std::vector(4, seen.front())) << request;
  }
}

// Goal: what is learnt on one listener does not let anybody into another.
TEST_F(HttpHeadPlansTest, TheGuardAsksWhereTheyCameIn) {
  const std::string request =
      "POST /api/events HTTP/1.1\r\nHost: rebound.example\r\nContent-Length: 2\r\n\r\n{}";
  auto& outside = connect_beyond_loopback();
  for (int i = 0; i < 4; ++i) EXPECT_THAT(ask(outside, request), HasSubstr(" 202 "));
  auto& inside = io_.connect_client();
  for (int i = 0; i < 4; ++i) EXPECT_THAT(ask(inside, request), HasSubstr(" 403 "));
  EXPECT_EQ(intake_.events.size(), 4U);
}

}  // namespace
}  // namespace tocsin::ingress
