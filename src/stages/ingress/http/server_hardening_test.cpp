// What the listener does to those who are slow, hostile, unknown or too fast.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "flow/quota_table.hpp"
#include "stages/ingress/http/server.hpp"
#include "stages/ingress/http/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string head(std::string_view fields, std::string_view path = "/api/events") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "\r\n";
}

std::string post(std::string_view body, std::string_view fields = "",
                 std::string_view path = "/api/events") {
  return head(std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n",
              path) +
         std::string(body);
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string in(text);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

class Someone final : public flow::Identity {
 public:
  explicit Someone(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] std::string_view user() const noexcept override { return name_; }
  [[nodiscard]] bool allows(flow::Access, std::string_view,
                            std::string_view) const noexcept override {
    return true;
  }
  [[nodiscard]] bool revoked() const noexcept override { return name_ == "gone"; }

 private:
  std::string name_;
};

/// Knows the token "good", and "later" whose answer the test posts.
class FakeAuthenticator final : public flow::Authenticator {
 public:
  std::unique_ptr<flow::AuthAnswer> authenticate(const flow::Credentials& credentials,
                                                 std::uint64_t ticket,
                                                 const ReplyTo& reply_to) override {
    ++asked;
    certificate = credentials.certificate_name;
    user = credentials.username;
    if (credentials.token == "later" || !credentials.username.empty()) {
      pending.emplace_back(ticket, reply_to);
      return nullptr;
    }
    auto answer = std::make_unique<flow::AuthAnswer>();
    answer->ticket = ticket;
    if (credentials.token == "good" || !credentials.certificate_name.empty()) {
      answer->result = flow::AuthResult::accepted;
      answer->identity = std::make_shared<Someone>("good");
    } else if (credentials.token.empty() || credentials.token == "disabled") {
      answer->result = flow::AuthResult::not_authorized;
    } else if (credentials.token == "busy") {
      answer->result = flow::AuthResult::busy;
    }
    return answer;
  }
  void answer(bool accepted, std::string name = "someone") {
    const auto [ticket, to] = pending.front();
    pending.erase(pending.begin());
    auto answer = std::make_unique<flow::AuthAnswer>();
    answer->ticket = ticket;
    answer->result = accepted ? flow::AuthResult::accepted : flow::AuthResult::bad_credentials;
    if (accepted) answer->identity = std::make_shared<Someone>(std::move(name));
    to.loop->post({.to = to.receiver, .kind = to.kind, .arg = 0, .object = answer.release()});
  }

  int asked = 0;
  std::string certificate;
  std::string user;
  std::vector<std::pair<std::uint64_t, ReplyTo>> pending;
};

class HttpHardeningTest : public test::HttpFixture {
 protected:
  test::FakeIo::Stream& connect() { return io_.connect_client(); }
  /// Delivers bytes on a connection and acknowledges what they bring. Returns what was sent since.
  std::string ask(test::FakeIo::Stream& client, std::string_view bytes) {
    const std::size_t first = intake_.acks.size();
    const std::size_t sent = client.sent.size();
    test::FakeIo::deliver(client, bytes);
    for (std::size_t i = first; i < intake_.acks.size(); ++i) intake_.settle(i, true);
    turns();
    return client.sent.substr(sent);
  }
  std::string ask(std::string_view bytes) { return ask(connect(), bytes); }
  /// The connection reads nothing more as a request, and closes once the peer is done.
  void expect_closing(test::FakeIo::Stream& client) {
    const std::size_t events = intake_.events.size();
    ask(client, post("{}"));
    EXPECT_EQ(intake_.events.size(), events);
    client.handler->on_end(0);
    turns();
    EXPECT_TRUE(client.closed);
  }
  [[nodiscard]] std::uint64_t refused(HttpRefusal reason) const {
    return server_->metrics().refused[static_cast<std::size_t>(reason)].get();
  }

  FakeAuthenticator authenticator_;
};

// --- Expect
// ------------------------------------------------------------------------------------

constexpr std::string_view expects = "Expect: 100-continue\r\nContent-Length: 2\r\n";

// Goal: 100 is sent only for a body that will be read; what would be refused anyway is refused
// without reading it, and the bytes that follow are not taken for a request.
TEST_F(HttpHardeningTest, RefusesBeforeTheBody) {
  HttpOptions options;
  options.body_size_max = 1000;
  start(options);
  struct Case {
    std::string request;
    std::string_view status;
  };
  const Case cases[] = {
      {head("Expect: 100-continue\r\nContent-Length: 1001\r\n"), "413"},
      {head("Expect: 200-ok\r\nContent-Length: 2\r\n"), "417"},
      {head("Expect: 100-continue\r\nContent-Encoding: br\r\nContent-Length: 2\r\n"), "415"},
      {head("Expect: 100-continue\r\nOrigin: http://evil.example\r\nContent-Length: 2\r\n"), "403"},
      {"PUT /api/events HTTP/1.1\r\nHost: localhost\r\n" + std::string(expects) + "\r\n", "405"},
  };
  for (const Case& c : cases) {
    auto& client = connect();
    const std::string answer = ask(client, c.request);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::string(c.status))) << c.request;
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    expect_closing(client);
  }
  EXPECT_THAT(ask(head(expects)), StartsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_THAT(ask(post("{}", "Expect: 100-continue\r\n")), StartsWith("HTTP/1.1 202 "))
      << "the body is there: nothing to wait for";
  EXPECT_TRUE(ask("POST /api/events HTTP/1.0\r\n" + std::string(expects) + "\r\n").empty());
}

// Goal: with the whole request read, a refusal does not cost the connection.
TEST_F(HttpHardeningTest, RefusalsOfWholeRequestsKeepTheConnection) {
  start();
  auto& client = connect();
  EXPECT_THAT(ask(client, post("{}", "Expect: x\r\n")), StartsWith("HTTP/1.1 417 "));
  EXPECT_THAT(ask(client, post("{}", "Content-Encoding: br\r\n")),
              HasSubstr("Accept-Encoding: gzip\r\n"));
  EXPECT_THAT(ask(client, post("{}")), StartsWith("HTTP/1.1 202 "));
}

// --- slow clients
// ------------------------------------------------------------------------------

// Goal: a head, and a body, that come byte by byte have one deadline as a whole.
TEST_F(HttpHardeningTest, TricklingDoesNotHelp) {
  start();
  auto& slow_head = connect();
  auto& slow_body = connect();
  test::FakeIo::deliver(slow_body, head("Content-Length: 1000\r\n"));
  const std::string request = head("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
  for (int second = 0; second < 35; ++second) {
    if (!slow_head.closed && slow_head.sent.empty()) {
      test::FakeIo::deliver(slow_head, request.substr(static_cast<std::size_t>(second), 1));
    }
    if (slow_body.sent.empty()) test::FakeIo::deliver(slow_body, "x");
    turns(1);
    EXPECT_EQ(slow_head.sent.empty(), second < 11) << second;
    EXPECT_EQ(slow_body.sent.empty(), second < 31) << second;
    io_.time += seconds(1);
  }
  EXPECT_THAT(slow_head.sent, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(slow_body.sent, StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(refused(HttpRefusal::head_timeout), 1U);
  EXPECT_EQ(refused(HttpRefusal::body_timeout), 1U);
}

TEST_F(HttpHardeningTest, ClosesOnSlowReaders) {
  HttpOptions options;
  options.send_timeout = seconds(5);
  start(options);
  auto& client = connect();
  client.stuck = true;
  ask(client, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  io_.time += seconds(4);
  turns();
  EXPECT_FALSE(client.closed);
  io_.time += seconds(2);
  turns();
  EXPECT_TRUE(client.closed);
  EXPECT_EQ(refused(HttpRefusal::send_timeout), 1U);
}

// Goal: idle connections hold no buffers, and little beside them.
TEST_F(HttpHardeningTest, IdleConnectionsCostLittle) {
  start();
  EXPECT_LE(sizeof(HttpConnection), 256U);
  for (int i = 0; i < 500; ++i) EXPECT_THAT(ask(post("{}")), StartsWith("HTTP/1.1 202 "));
  EXPECT_LT(server_->budget().used(), 4096U);
  EXPECT_EQ(server_->metrics().opened.get() - server_->metrics().closed.get(), 500U);
}

// --- gzip
// --------------------------------------------------------------------------------------

TEST_F(HttpHardeningTest, TakesGzip) {
  start();
  for (const std::string_view fields :
       {"Content-Encoding: gzip\r\n", "content-encoding: X-GZip\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"}) {
    EXPECT_THAT(ask(post(gzip(R"({"event":"a"})"), fields)), StartsWith("HTTP/1.1 202 "));
    EXPECT_EQ(intake_.events.back().payload, R"({"event":"a"})");
  }
  const std::string coded = gzip("[a,b]");
  auto& client = connect();
  const std::string request = post(coded, "Content-Encoding: gzip\r\n", "/api/events/batch");
  for (const char c : request.substr(0, request.size() - 1)) ask(client, std::string(1, c));
  EXPECT_THAT(ask(client, request.substr(request.size() - 1)), StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(intake_.events.back().payload, "[a,b]");
}

TEST_F(HttpHardeningTest, RefusesBadGzip) {
  HttpOptions options;
  options.body_size_max = 100'000;
  start(options);
  const std::string coding = "Content-Encoding: gzip\r\n";
  const std::string good = gzip("{}");
  EXPECT_THAT(ask(post("{}", coding)), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(post(good.substr(0, good.size() - 1), coding)), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(post(good + "x", coding)), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(post("", coding)), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(post(gzip(std::string(100'001, 'x')), coding)), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask(post(good, coding + coding)), StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(ask(post(good, "Content-Encoding: gzip, gzip\r\n")), StartsWith("HTTP/1.1 415 "));
  EXPECT_TRUE(intake_.events.empty());
  EXPECT_THAT(ask(post(gzip(std::string(60'000, 'x')), coding)), StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(refused(HttpRefusal::compressed), 4U);
  EXPECT_EQ(refused(HttpRefusal::expanded), 1U);
}

// --- credentials
// -------------------------------------------------------------------------------

constexpr std::string_view good = "Authorization: Bearer good\r\n";
constexpr std::string_view later = "Authorization: Bearer later\r\n";

TEST_F(HttpHardeningTest, AsksForCredentials) {
  start();
  server_->set_authenticator(&authenticator_);
  const auto status = [&](std::string_view fields) { return ask(post("{}", fields)).substr(9, 3); };
  EXPECT_EQ(status(good), "202");
  EXPECT_EQ(status(""), "401");
  EXPECT_EQ(status("Authorization: Bearer bad\r\n"), "401");
  EXPECT_EQ(status("Authorization: Digest good\r\n"), "401");
  EXPECT_EQ(status(std::string(good) + std::string(good)), "401");
  EXPECT_EQ(status("Authorization: Bearer disabled\r\n"), "403");
  EXPECT_EQ(status("Authorization: Bearer busy\r\n"), "503");
  EXPECT_EQ(intake_.events.size(), 1U);
  const std::string answer = ask(post("{}"));
  EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Bearer realm=\"tocsin\"\r\n"));
  EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Basic realm=\"tocsin\", charset=\"UTF-8\"\r\n"));
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

// Goal: who was accepted is not asked about with every request, but is again after a while, and
// another proof on the same connection is another client.
TEST_F(HttpHardeningTest, TrustsAConnectionForAWhile) {
  start();
  server_->set_authenticator(&authenticator_);
  auto& client = connect();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(ask(client, post("{}", good)), HasSubstr(" 202 "));
  EXPECT_EQ(authenticator_.asked, 1);
  EXPECT_THAT(ask(client, post("{}", "Authorization: Bearer bad\r\n")), HasSubstr(" 401 "));
  EXPECT_THAT(ask(client, post("{}")), HasSubstr(" 401 "));
  EXPECT_THAT(ask(client, post("{}", good)), HasSubstr(" 202 "));
  EXPECT_EQ(authenticator_.asked, 4);
  io_.time += seconds(11);
  turns();
  EXPECT_THAT(ask(client, post("{}", good)), HasSubstr(" 202 "));
  EXPECT_EQ(authenticator_.asked, 5);
}

TEST_F(HttpHardeningTest, PassesTheCertificateOn) {
  start();
  server_->set_authenticator(&authenticator_);
  io_.streams.push_back(std::make_unique<test::FakeIo::Stream>());
  auto& client = *io_.streams.back();
  client.handler = server_->accept(io_, {.slot = 0, .generation = 1}, {}, "device-7");
  EXPECT_THAT(ask(client, post("{}")), StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(authenticator_.certificate, "device-7");
}

// Goal: while the authenticator thinks, the connection waits, and others do not; requests behind
// keep their order.
TEST_F(HttpHardeningTest, WaitsForTheAuthenticator) {
  start();
  server_->set_authenticator(&authenticator_);
  auto& client = connect();
  test::FakeIo::deliver(client, post("first", later) + post("second", good));
  turns();
  EXPECT_FALSE(client.receiving);
  EXPECT_THAT(ask(post("other", good)), StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(intake_.events.size(), 1U);
  authenticator_.answer(true);
  turns();
  ASSERT_EQ(intake_.events.size(), 3U);
  EXPECT_EQ(intake_.events[1].payload, "first");
  EXPECT_EQ(intake_.events[2].payload, "second");
  EXPECT_TRUE(client.receiving);
  auto& refused_client = connect();
  test::FakeIo::deliver(refused_client, post("third", later) + post("fourth", good));
  authenticator_.answer(false);
  turns();
  ASSERT_EQ(intake_.events.size(), 4U);
  EXPECT_THAT(refused_client.sent, StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(intake_.events[3].payload, "fourth");
}

// Goal: a client that asked first is told before it sends the body.
TEST_F(HttpHardeningTest, AuthenticatesBeforeTheBody) {
  start();
  server_->set_authenticator(&authenticator_);
  auto& accepted = connect();
  EXPECT_EQ(ask(accepted, head(std::string(later) + std::string(expects))), "");
  authenticator_.answer(true);
  turns();
  EXPECT_EQ(accepted.sent, "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(ask(accepted, "{}"), StartsWith("HTTP/1.1 202 "));
  auto& refused_client = connect();
  ask(refused_client, head(std::string(later) + std::string(expects)));
  authenticator_.answer(false);
  turns();
  EXPECT_THAT(refused_client.sent, StartsWith("HTTP/1.1 401 "));
  expect_closing(refused_client);
}

// Goal: whoever was removed while his answer was on its way sends nothing.
TEST_F(HttpHardeningTest, RevokedWhileAuthenticating) {
  start();
  server_->set_authenticator(&authenticator_);
  auto& client = connect();
  test::FakeIo::deliver(client, post("{}", later));
  authenticator_.answer(true, "gone");
  turns();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 403 "));
  EXPECT_TRUE(intake_.events.empty());
}

// Goal: a late or lost answer harms nobody: not the connection's successor, and not the drain.
TEST_F(HttpHardeningTest, LateAuthentication) {
  start();
  server_->set_authenticator(&authenticator_);
  auto& gone = connect();
  test::FakeIo::deliver(gone, post("{}", later));
  gone.handler->on_end(ECONNRESET);
  turns();
  auto& next = connect();
  test::FakeIo::deliver(next, post("{}", later));
  authenticator_.answer(true);
  turns();
  EXPECT_TRUE(intake_.events.empty());
  io_.time += seconds(11);
  turns();
  EXPECT_THAT(next.sent, StartsWith("HTTP/1.1 503 "));
  authenticator_.answer(true);
  turns();
  EXPECT_TRUE(intake_.events.empty());
  next.handler->on_end(0);
  turns();
  EXPECT_TRUE(next.closed);
}

// --- quotas
// ------------------------------------------------------------------------------------

TEST_F(HttpHardeningTest, LimitsClients) {
  start();
  flow::QuotaTable quotas({.client_rate = 1, .client_burst = 3}, 1);
  server_->set_quotas(&quotas);
  auto& client = connect();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(ask(client, post("{}")), StartsWith("HTTP/1.1 202 "));
  const std::string answer = ask(client, post("{}"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(answer, HasSubstr("\r\nRetry-After: 1\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nRateLimit-Policy: \"client\";q=3;w=3\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nRateLimit: \"client\";r=0;t=1\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"type\":\"urn:tocsin:problem:quota\""));
  EXPECT_THAT(answer, HasSubstr("\"retry_after\":1"));
  EXPECT_EQ(intake_.events.size(), 3U);
  EXPECT_THAT(ask(head(expects)), StartsWith("HTTP/1.1 429 ")) << "without reading the body";
  EXPECT_THAT(ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  io_.time += seconds(1);
  turns();
  EXPECT_THAT(ask(client, post("{}")), StartsWith("HTTP/1.1 202 "));
}

TEST_F(HttpHardeningTest, ChargesABatchByItsEntries) {
  start();
  flow::QuotaTable quotas({.address_rate = 1, .address_burst = 4}, 1);
  server_->set_quotas(&quotas);
  const std::string_view path = "/api/events/batch";
  EXPECT_THAT(ask(post("[a,b,c]", "", path)), StartsWith("HTTP/1.1 202 "));
  const std::string answer = ask(post("[a,b,c]", "", path));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 2\r\n"));
  EXPECT_EQ(intake_.acks.size(), 3U) << "none of the entries was taken";
  EXPECT_THAT(ask(post("{}")), StartsWith("HTTP/1.1 202 ")) << "and nothing was charged";
}

// Goal: who is turned away because we are full may come back as soon as he is told to.
TEST_F(HttpHardeningTest, WhatWeTurnAwayCostsTheClientNothing) {
  start();
  flow::QuotaTable quotas({.client_rate = 1, .client_burst = 3}, 1);
  server_->set_quotas(&quotas);
  const flow::Rejection full{.reason = flow::Refusal::shutting_down, .detail = "full"};
  intake_.refuse = full;
  for (int i = 0; i < 5; ++i) EXPECT_THAT(ask(post("{}")), StartsWith("HTTP/1.1 503 "));
  intake_.refuse = {};
  intake_.entry_refusal = full;
  const std::string_view path = "/api/events/batch";
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(ask(post("[bad,bad,bad]", "", path)), StartsWith("HTTP/1.1 503 "));
  }
  EXPECT_THAT(ask(post("[a,bad,bad]", "", path)), StartsWith("HTTP/1.1 207 "));
  EXPECT_THAT(ask(post("[a,b]", "", path)), StartsWith("HTTP/1.1 202 "));
  EXPECT_THAT(ask(post("{}")), StartsWith("HTTP/1.1 429 "));
  intake_.entry_refusal.reason = flow::Refusal::unknown_source;
  io_.time += seconds(3);
  turns();
  ask(post("[bad,bad,bad]", "", path));
  EXPECT_THAT(ask(post("{}")), StartsWith("HTTP/1.1 429 ")) << "their own mistakes count";
}

// Goal: an exhausted source refuses its own entries only; a batch of nothing else is a 429.
TEST_F(HttpHardeningTest, SourceQuotasAreVerdictsOfEntries) {
  start();
  intake_.entry_refusal = {.reason = flow::Refusal::quota,
                           .detail = "the source",
                           .retry_after = std::chrono::milliseconds(2500)};
  const std::string some = ask(post("[a,bad]", "", "/api/events/batch"));
  EXPECT_THAT(some, StartsWith("HTTP/1.1 207 "));
  EXPECT_THAT(some, HasSubstr("\"status\":429,\"detail\":\"the source\",\"retry_after\":3"));
  EXPECT_THAT(some, Not(HasSubstr("Retry-After")));
  const std::string all = ask(post("[bad,bad]", "", "/api/events/batch"));
  EXPECT_THAT(all, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(all, HasSubstr("Retry-After: 3\r\n"));
  intake_.refuse = intake_.entry_refusal;
  const std::string single = ask(post("{}"));
  EXPECT_THAT(single, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(single, HasSubstr("Retry-After: 3\r\n"));
}

}  // namespace
}  // namespace tocsin::ingress
