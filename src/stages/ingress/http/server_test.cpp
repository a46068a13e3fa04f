#include "stages/ingress/http/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/ingress/http/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string post(std::string_view path, std::string_view body, std::string_view fields = "",
                 std::string_view type = "application/json") {
  std::string text = "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost:8080\r\n";
  if (!type.empty()) text += "Content-Type: " + std::string(type) + "\r\n";
  text += std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return text + std::string(body);
}

std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "\r\n";
}

class HttpServerTest : public test::HttpFixture {
 protected:
  /// Sends a request on a connection of its own; acknowledges everything; returns the answer.
  std::string ask(std::string_view request) {
    test::FakeIo::Stream& client = io_.connect_client();
    const std::size_t first = intake_.acks.size();
    test::FakeIo::deliver(client, request);
    for (std::size_t i = first; i < intake_.acks.size(); ++i) intake_.settle(i, true);
    turns();
    return client.sent;
  }
};

// Goal: 202 carries the shape of FEATURES part 5, and leaves only after the acknowledgement.
TEST_F(HttpServerTest, AnswersATriggerWhenItIsStored) {
  start();
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client, post("/api/events", R"({"event":"a","payload":{"x":1}})"));
  turns();
  EXPECT_EQ(client.sent, "");
  ASSERT_EQ(intake_.acks.size(), 1U);
  intake_.settle(0, true);
  turns();
  EXPECT_EQ(client.sent,
            "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 120\r\n\r\n"
            "{\"message\":\"Event triggered successfully.\",\"event\":\"a\\\"b\","
            "\"payload\":{\"x\":1},\"id\":\"00000000-0000-0001-0000-000000000001\"}");
  EXPECT_EQ(intake_.events[0].envelope, flow::Envelope::api);
  EXPECT_EQ(intake_.events[0].payload, R"({"event":"a","payload":{"x":1}})");
  EXPECT_FALSE(client.closed);
}

TEST_F(HttpServerTest, AFailedCommitFailsTheRequest) {
  start();
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client, post("/api/events", "{}"));
  intake_.settle(0, false);
  turns();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(client.sent, HasSubstr("application/problem+json"));
  EXPECT_THAT(client.sent, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(client.sent, HasSubstr("urn:tocsin:problem:commit_failed"));
  EXPECT_THAT(client.sent, Not(HasSubstr("202")));
}

// Goal: acknowledgements out of order, responses in order, one send a turn.
TEST_F(HttpServerTest, PipelinedResponsesLeaveInOrder) {
  start();
  auto& client = io_.connect_client();
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += post("/api/events", "{}");
  bytes += get("/healthz");
  test::FakeIo::deliver(client, bytes);
  ASSERT_EQ(intake_.acks.size(), 4U);
  for (const std::size_t i : {3U, 1U, 2U}) intake_.settle(i, true);
  turns();
  EXPECT_EQ(client.sends, 0U);
  intake_.settle(0, true);
  turns();
  EXPECT_EQ(client.sends, 1U);
  std::size_t at = 0;
  for (const char* id : {"000001\"}", "000002\"}", "000003\"}", "000004\"}", "ok\n"}) {
    const std::size_t found = client.sent.find(id, at);
    ASSERT_NE(found, std::string::npos) << id;
    at = found;
  }
}

// Goal: cutting the input anywhere changes nothing.
TEST_F(HttpServerTest, SplitRequestsGiveTheSameAnswers) {
  start();
  const std::string request = post("/api/events", R"({"event":"abc"})") + get("/healthz");
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    auto& client = io_.connect_client();
    intake_.acks.clear();
    intake_.events.clear();
    test::FakeIo::deliver(client, std::string_view(request).substr(0, cut));
    test::FakeIo::deliver(client, std::string_view(request).substr(cut));
    ASSERT_EQ(intake_.acks.size(), 1U) << cut;
    EXPECT_EQ(intake_.events[0].payload, R"({"event":"abc"})");
    intake_.settle(0, true);
    turns();
    EXPECT_THAT(client.sent, HasSubstr("202 Accepted"));
    EXPECT_TRUE(client.sent.ends_with("ok\n")) << cut;
    test::FakeIo::Stream& stream = client;
    stream.handler->on_end(0);
    turns();
    EXPECT_TRUE(stream.closed);
  }
}

TEST_F(HttpServerTest, ChoosesTheContentMode) {
  start();
  const auto envelope = [&](std::string_view type, std::string_view fields = "") {
    intake_.events.clear();
    intake_.forms.clear();
    EXPECT_THAT(ask(post("/api/events", "[1]", fields, type)), StartsWith("HTTP/1.1 202 "));
    return intake_.events.back().envelope;
  };
  EXPECT_EQ(envelope("application/json; charset=UTF-8"), flow::Envelope::api);
  EXPECT_EQ(envelope(""), flow::Envelope::api);
  EXPECT_EQ(envelope("Application/CloudEvents+JSON; charset=utf-8"), flow::Envelope::cloudevents);
  EXPECT_TRUE(intake_.forms.empty());
  EXPECT_EQ(envelope("APPLICATION/cloudevents-batch+json"), flow::Envelope::cloudevents);
  EXPECT_EQ(intake_.forms, std::vector{flow::BatchForm::array});
  EXPECT_EQ(envelope("text/plain", "CE-Type: a%20b\r\nce-ID: \"1\"\r\n"),
            flow::Envelope::cloudevents_binary);
  EXPECT_EQ(intake_.events[0].attributes,
            (std::map<std::string, std::string>{{"type", "a b"}, {"id", "1"}}));
  EXPECT_EQ(intake_.events[0].content_type, "text/plain");
  EXPECT_EQ(envelope("application/json", "ce-type: a\r\n"), flow::Envelope::cloudevents_binary);
  for (const std::string_view type :
       {"text/plain", "application/cloudevents+avro", "application/json; charset=utf-16",
        "application/x-www-form-urlencoded"}) {
    EXPECT_THAT(ask(post("/api/events", "{}", "", type)), StartsWith("HTTP/1.1 415 ")) << type;
  }
  for (const std::string_view fields :
       {"ce-type: %C0%80\r\n", "ce-a: 1\r\nCE-A: 2\r\n", "ce-datacontenttype: x/y\r\n"}) {
    EXPECT_THAT(ask(post("/api/events", "{}", fields)), StartsWith("HTTP/1.1 422 ")) << fields;
  }
}

TEST_F(HttpServerTest, PassesLevelAndTrace) {
  start();
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  ask(post("/api/events", "{}", "Tocsin-Ack: Accepted\r\ntraceparent: " + trace + "\r\n"));
  EXPECT_EQ(intake_.events[0].level, Level::accepted);
  EXPECT_EQ(intake_.events[0].traceparent, trace);
  ask(post("/api/events", "{}", "tocsin-ack: stored\r\n"));
  EXPECT_EQ(intake_.events[1].level, Level::stored);
  EXPECT_EQ(intake_.events[1].traceparent, "");
  EXPECT_THAT(ask(post("/api/events", "{}", "Tocsin-Ack: now\r\n")), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(intake_.events.size(), 2U);
}

TEST_F(HttpServerTest, RefusalsAreProblems) {
  start();
  const auto refused = [&](flow::Refusal reason, std::string_view path = "/api/events",
                           std::string_view body = "{}") {
    intake_.refuse = flow::Rejection{.reason = reason, .detail = "why", .pointer = "/a"};
    return ask(post(path, body));
  };
  EXPECT_THAT(refused(flow::Refusal::unknown_source), StartsWith("HTTP/1.1 422 "));
  EXPECT_THAT(refused(flow::Refusal::json_syntax),
              HasSubstr("{\"type\":\"urn:tocsin:problem:json_syntax\",\"title\":\"Malformed JSON\","
                        "\"status\":400,\"detail\":\"why\",\"errors\":[{\"pointer\":\"/a\","
                        "\"detail\":\"why\"}]}"));
  EXPECT_THAT(refused(flow::Refusal::too_large), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(refused(flow::Refusal::shutting_down), HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(refused(flow::Refusal::entries, "/api/events/batch", "{}"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(refused(flow::Refusal::entries, "/api/events/batch", " [1]"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, BatchesAnswerEveryEntryInOrder) {
  start();
  const std::string some = ask(post("/api/events/batch", "[a,bad,c]"));
  EXPECT_THAT(some, StartsWith("HTTP/1.1 207 "));
  EXPECT_THAT(some, HasSubstr("[\n{\"id\":\"00000000-0000-0001-0000-000000000001\"},\n"
                              "{\"error\":{\"type\":\"urn:tocsin:problem:unknown_source\""));
  EXPECT_TRUE(some.ends_with("},\n{\"id\":\"00000000-0000-0001-0000-000000000002\"}\n]"));
  EXPECT_THAT(ask(post("/api/events/batch", "a\nb\n", "", "application/x-ndjson")),
              StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(intake_.forms.back(), flow::BatchForm::ndjson);
  EXPECT_THAT(ask(post("/api/events/batch", "[bad,bad]")), StartsWith("HTTP/1.1 422 "));
  EXPECT_TRUE(ask(post("/api/events/batch", "[]")).ends_with("\r\n\r\n[\n]"));
}

// Goal: when the commit of some entries fails, exactly those are answered as not stored.
TEST_F(HttpServerTest, PartlyStoredBatchesSaySo) {
  start();
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client, get("/healthz") + post("/api/events/batch", "[a,b,c]"));
  intake_.settle(0, true);
  intake_.settle(1, false);
  turns();
  EXPECT_THAT(client.sent, Not(HasSubstr("HTTP/1.1 20207")));
  intake_.settle(2, true);
  turns();
  EXPECT_THAT(client.sent, HasSubstr("HTTP/1.1 207 "));
  EXPECT_THAT(client.sent,
              HasSubstr("000001\"},\n{\"error\":{\"type\":\"urn:tocsin:problem:commit_failed\""));
  EXPECT_TRUE(client.sent.ends_with("},\n{\"id\":\"00000000-0000-0001-0000-000000000003\"}\n]"));
  test::FakeIo::deliver(client, post("/api/events/batch", "[a]"));
  intake_.settle(3, false);
  turns();
  EXPECT_THAT(client.sent, HasSubstr("HTTP/1.1 503 "));
}

// Goal: no page of another origin, and no rebound name, reaches the listener.
TEST_F(HttpServerTest, KeepsWebPagesOut) {
  HttpOptions options;
  options.host_names = {"gateway.local"};
  start(options);
  const auto status = [&](std::string_view host, std::string_view fields) {
    return ask("POST /api/events HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" +
               std::string(fields) + "Content-Length: 2\r\n\r\n{}")
        .substr(9, 3);
  };
  EXPECT_EQ(status("localhost:8080", ""), "202");
  EXPECT_EQ(status("127.0.0.1:8080", ""), "202");
  EXPECT_EQ(status("[::1]:8080", ""), "202");
  EXPECT_EQ(status("Gateway.Local", ""), "202");
  EXPECT_EQ(status("evil.example:8080", ""), "403");
  EXPECT_EQ(status("192.168.1.1", ""), "403");
  EXPECT_EQ(status("127.0.0.1.evil.example", ""), "403");
  EXPECT_EQ(status("localhost:8080", "Origin: http://localhost:8080\r\n"), "202");
  EXPECT_EQ(status("localhost:8080", "Origin: http://localhost:3000\r\n"), "403");
  EXPECT_EQ(status("localhost:8080", "Origin: https://evil.example\r\n"), "403");
  EXPECT_EQ(status("localhost:8080", "Origin: null\r\n"), "403");
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask(get("/healthz", "Origin: http://x\r\n")), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(intake_.events.size(), 5U);
}

TEST_F(HttpServerTest, RoutesTheRest) {
  start();
  EXPECT_TRUE(ask(get("/healthz")).ends_with("Content-Length: 3\r\n\r\nok\n"));
  EXPECT_TRUE(ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                  .ends_with("Content-Length: 3\r\n\r\n"));
  EXPECT_THAT(ask(get("/nothing")), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask(get("/api/events")), HasSubstr("Allow: POST\r\n"));
  const std::string refused = ask(post("/readonly", ""));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(refused, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(refused, HasSubstr("urn:tocsin:problem:method"));
}

// Goal: back-pressure keeps the request, stops receiving, and goes on when capacity is back, while
// health checks are still answered.
TEST_F(HttpServerTest, WaitsForCapacity) {
  start();
  auto& client = io_.connect_client();
  intake_.is_ready = false;
  EXPECT_TRUE(client.receiving);
  test::FakeIo::deliver(client, post("/api/events", "first") + post("/api/events", "sec"));
  EXPECT_FALSE(client.receiving);
  test::FakeIo::deliver(client, get("/healthz"));
  turns();
  EXPECT_TRUE(intake_.events.empty());
  EXPECT_TRUE(ask(get("/healthz")).ends_with("ok\n"));
  intake_.set_ready();
  ASSERT_EQ(intake_.events.size(), 2U);
  EXPECT_EQ(intake_.events[0].payload, "first");
  EXPECT_EQ(intake_.events[1].payload, "sec");
  EXPECT_TRUE(client.receiving);
  intake_.settle(0, true);
  intake_.settle(1, true);
  turns();
  EXPECT_TRUE(client.sent.ends_with("ok\n"));
}

TEST_F(HttpServerTest, PipelineBoundStopsReading) {
  HttpOptions options;
  options.pipeline_max = 2;
  start(options);
  auto& client = io_.connect_client();
  std::string bytes;
  for (int i = 0; i < 5; ++i) bytes += post("/api/events", "{}");
  test::FakeIo::deliver(client, bytes);
  EXPECT_EQ(intake_.acks.size(), 2U);
  EXPECT_FALSE(client.receiving);
  for (std::size_t i = 0; i < 5; ++i) {
    ASSERT_LT(i, intake_.acks.size());
    intake_.settle(i, true);
    turns();
  }
  EXPECT_EQ(intake_.acks.size(), 5U);
  EXPECT_TRUE(client.receiving);
  EXPECT_THAT(client.sent, HasSubstr("000005\"}"));
}

// Goal: a client that sends but does not read fills its own bound only.
TEST_F(HttpServerTest, OutputBoundStopsReading) {
  HttpOptions options;
  options.output_bytes_max = 4096;
  start(options);
  auto& client = io_.connect_client();
  client.stuck = true;
  for (int i = 0; i < 10; ++i) test::FakeIo::deliver(client, get("/large"));
  turns();
  EXPECT_FALSE(client.receiving);
  EXPECT_LT(server_->budget().used(), 20'000U);
  client.stuck = false;
  turns(30);
  EXPECT_TRUE(client.receiving);
  EXPECT_GT(client.sent.size(), 30'000U);
}

TEST_F(HttpServerTest, BudgetGives503) {
  HttpOptions options;
  options.carry_bytes_max = 8192;
  start(options);
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client,
                        "POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: 20000\r\n\r\n" +
                            std::string(10'000, 'x'));
  turns();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(client.sent, HasSubstr("Connection: close\r\n"));
}

TEST_F(HttpServerTest, TimeoutsEndSlowConnections) {
  start();
  auto& idle = io_.connect_client();
  auto& head = io_.connect_client();
  auto& body = io_.connect_client();
  auto& waiting = io_.connect_client();
  test::FakeIo::deliver(head, "GET / HT");
  test::FakeIo::deliver(body,
                        "POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: 10\r\n\r\n12");
  test::FakeIo::deliver(waiting, post("/api/events", "{}"));
  io_.time += std::chrono::seconds(11);
  test::FakeIo::deliver(body, "3");
  turns();
  EXPECT_THAT(head.sent, StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(body.sent, "");
  io_.time += std::chrono::seconds(20);
  turns();
  EXPECT_TRUE(head.closed);  // Having lingered.
  EXPECT_THAT(body.sent, StartsWith("HTTP/1.1 408 "));
  io_.time += std::chrono::seconds(50);
  turns();
  EXPECT_TRUE(idle.closed);
  EXPECT_FALSE(waiting.closed);
}

TEST_F(HttpServerTest, BadRequestIsAnsweredAfterEarlierOnes) {
  start();
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client, post("/api/events", "{}") + "GET / HTTP/1.1\nHost: a\n\n");
  turns();
  EXPECT_EQ(client.sent, "");
  intake_.settle(0, true);
  turns();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 202 "));
  EXPECT_THAT(client.sent, HasSubstr("HTTP/1.1 400 "));
  EXPECT_FALSE(client.closed);
  client.handler->on_end(0);
  turns();
  EXPECT_TRUE(client.closed);
}

TEST_F(HttpServerTest, ContinuesWhenAsked) {
  start();
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client,
                        "POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
                        "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  turns();
  EXPECT_EQ(client.sent, "HTTP/1.1 100 Continue\r\n\r\n");
  test::FakeIo::deliver(client, "{}");
  intake_.settle(0, true);
  turns();
  EXPECT_THAT(client.sent, HasSubstr("\r\n\r\nHTTP/1.1 202 "));
}

TEST_F(HttpServerTest, LateAcknowledgementsOfGoneClientsAreIgnored) {
  start();
  auto& client = io_.connect_client();
  test::FakeIo::deliver(client, post("/api/events", "{}"));
  client.handler->on_end(ECONNRESET);
  turns();
  EXPECT_TRUE(client.closed);
  auto& next = io_.connect_client();  // The same slot.
  test::FakeIo::deliver(next, post("/api/events", "{}"));
  intake_.settle(0, true);
  turns();
  EXPECT_EQ(next.sent, "");
  intake_.settle(1, true);
  turns();
  EXPECT_THAT(next.sent, StartsWith("HTTP/1.1 202 "));
}

TEST_F(HttpServerTest, DrainAnswersWhatIsInFlight) {
  start();
  auto& idle = io_.connect_client();
  auto& busy = io_.connect_client();
  auto& half = io_.connect_client();
  test::FakeIo::deliver(busy, post("/api/events", "{}"));
  const std::string request = post("/api/events", "{}");
  test::FakeIo::deliver(half, std::string_view(request).substr(0, 30));
  server_->drain();
  EXPECT_EQ(io_.acceptor, nullptr);
  turns();
  EXPECT_TRUE(idle.closed);
  EXPECT_FALSE(busy.closed);
  test::FakeIo::deliver(half, std::string_view(request).substr(30));
  intake_.settle(0, true);
  intake_.settle(1, true);
  turns();
  EXPECT_THAT(busy.sent, StartsWith("HTTP/1.1 202 "));
  EXPECT_THAT(half.sent, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(server_->drained());
}

TEST_F(HttpServerTest, ConnectionsAreBounded) {
  HttpOptions options;
  options.connections_max = 2;
  start(options);
  io_.connect_client();
  io_.connect_client();
  EXPECT_TRUE(io_.connect_client().closed);
  EXPECT_EQ(server_->metrics().refused[static_cast<std::size_t>(HttpRefusal::connections)].get(),
            1U);
}

// Goal: connections whose TLS handshake is not done have their place already.
TEST_F(HttpServerTest, ExpectedConnectionsCount) {
  HttpOptions options;
  options.connections_max = 2;
  start(options);
  std::uint32_t expected = 1;
  server_->set_expected([&] { return expected; });
  EXPECT_FALSE(io_.connect_client().closed);
  EXPECT_EQ(server_->room(), 1U);
  EXPECT_TRUE(io_.connect_client().closed);
  expected = 0;
  EXPECT_FALSE(io_.connect_client().closed);
  EXPECT_EQ(server_->room(), 0U);
}

TEST(HttpOptionsTest, ListeningBeyondLoopbackNeedsConsent) {
  HttpOptions options;
  options.listen = {"127.0.0.1:0", "[::1]:0"};
  EXPECT_EQ(listen_endpoints(options)->size(), 2U);
  options.listen = {"0.0.0.0:8080"};
  EXPECT_THAT(listen_endpoints(options).error(), HasSubstr("allow_anonymous"));
  options.allow_anonymous = true;
  EXPECT_TRUE(listen_endpoints(options));
  options.listen = {"localhost"};
  EXPECT_THAT(listen_endpoints(options).error(), HasSubstr("localhost"));
}

}  // namespace
}  // namespace tocsin::ingress
