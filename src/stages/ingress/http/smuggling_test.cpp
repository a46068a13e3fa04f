// Requests that two parsers could read differently.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/ingress/http/server.hpp"
#include "stages/ingress/http/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using ::testing::HasSubstr;

std::string head(std::string_view fields) {
  return "POST /api/events HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n";
}

class HttpSmugglingTest : public test::HttpFixture {
 protected:
  void SetUp() override { start(); }
};

// Goal: every request that two parsers could read differently is refused, the connection closes,
// and what stands behind it is never executed, on a new connection and on one whose requests were
// good so far. FAULTS X17.
TEST_F(HttpSmugglingTest, SmuggledRequestsAreNotExecuted) {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const std::string smuggled = head("Content-Length: 2\r\n") + "{}";
  const std::string requests[] = {
      head("Content-Length : 5\r\n"),
      head("Content-Length: +0\r\n"),
      head("Content-Length: 0x0\r\n"),
      head("Content-Length: -0\r\n"),
      head("Content-Length: 0,0\r\n"),
      head("Content-Length: 0\r\nContent-Length: 5\r\n"),
      head("Content-Length: 0\r\nContent-Length: 0\r\n"),
      head("Content-Length: 18446744073709551616\r\n"),
      head("Content-Length: \r\n"),
      head("Content-Length: 1 0\r\n"),
      head("Content-Length: 0\r\n" + chunked) + "0\r\n\r\n",
      head(chunked + "Content-Length: 5\r\n") + "0\r\n\r\n",
      head("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n",
      head("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n",
      head("Transfer-Encoding: chunked, identity\r\n") + "0\r\n\r\n",
      head("Transfer-Encoding: identity\r\n"),
      head("Transfer-Encoding: \"chunked\"\r\n") + "0\r\n\r\n",
      head("Transfer-Encoding:\x0b"
           "chunked\r\n") +
          "0\r\n\r\n",
      head("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n",
      head(chunked + chunked) + "0\r\n\r\n",
      "POST /api/events HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n" + chunked +
          "\r\n0\r\n\r\n",
      head(chunked) + "0x0\r\n\r\n",
      head(chunked) + "+0\r\n\r\n",
      head(chunked) + "-0\r\n\r\n",
      head(chunked) + " 0\r\n\r\n",
      head(chunked) + "0 \r\n\r\n",
      head(chunked) + "0\n\r\n",
      head(chunked) + "0;a\nb\r\n\r\n",
      head(chunked) + "0;" + std::string(5000, 'a') + "\r\n\r\n",
      head(chunked) + std::string(5000, '0') + "\r\n\r\n",
      head(chunked) + "2\r\n{}0\r\n\r\n",
      head(chunked) + "2\r\n{}\n0\r\n\r\n",
      head(chunked) + "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
      head(chunked) + "0\r\nGET /x HTTP/1.1\r\n\r\n",
      head(chunked) + "0\r\n folded: x\r\n\r\n",
      head(chunked) + "0\r\nX: " + std::string(5000, 'a') + "\r\n\r\n",
      head("X: a\r\n b\r\n"),
      head("X: a\r\n\tContent-Length: 5\r\n"),
      head("X: a\nContent-Length: 5\r\n"),
      head("X: a\rContent-Length: 5\r\n"),
      head(std::string("X: a\0b\r\n", 8)),
      head(std::string("X\0: a\r\n", 7)),
      head("X\x7f: a\r\n"),
      head("X(): a\r\n"),
      head(": a\r\n"),
      head("no colon\r\n"),
      head("Host: localhost\r\n"),
      head("Host: evil.example\r\n"),
      "POST /api/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
      "POST /api/events HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n",
      "POST /api/events HTTP/1.1\r\nHost: localhost evil\r\nContent-Length: 0\r\n\r\n",
      "POST http://localhost/api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n",
      "POST http://a@localhost/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST ftp://localhost/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /api/events#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /api/events HTTP/1.2\r\nHost: localhost\r\n\r\n",
      "POST /api/events HTTP/2.0\r\nHost: localhost\r\n\r\n",
      "POST /api/events HTTP/01.1\r\nHost: localhost\r\n\r\n",
      "POST /api/events http/1.1\r\nHost: localhost\r\n\r\n",
      "POST /api/events\r\n\r\n",
      "POST  /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST\t/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /api/events HTTP/1.1 \r\nHost: localhost\r\n\r\n",
      "POST /api /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      std::string("POST /api\0/events HTTP/1.1\r\nHost: localhost\r\n\r\n", 47),
      " POST /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "post /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
      head("X: " + std::string(20'000, 'a') + "\r\n"),
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  };
  for (const std::string& request : requests) {
    for (const bool known : {false, true}) {
      auto& client = io_.connect_client();
      // By then the head of the good request is recognized on this connection.
      for (int i = 0; known && i < 3; ++i) {
        test::FakeIo::deliver(client, smuggled);
        intake_.settle(intake_.acks.size() - 1, true);
        turns();
      }
      EXPECT_EQ(intake_.events.size(), known ? 3U : 0U);
      intake_.events.clear();
      client.sent.clear();
      const std::string bytes = request + smuggled;
      const std::size_t step = known ? bytes.size() : 1;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        test::FakeIo::deliver(client, std::string_view(bytes).substr(at, step));
      }
      turns();
      EXPECT_TRUE(intake_.events.empty()) << request;
      intake_.events.clear();
      ASSERT_GE(client.sent.size(), 12U) << request;
      EXPECT_TRUE(client.sent[9] == '4' || client.sent[9] == '5') << request << client.sent;
      EXPECT_EQ(client.sent.find("\r\n\r\n"), client.sent.rfind("\r\n\r\n")) << client.sent;
      EXPECT_THAT(client.sent, HasSubstr("Connection: close\r\n")) << request;
      client.handler->on_end(0);
      turns();
      EXPECT_TRUE(client.closed) << request;
    }
  }
}

}  // namespace
}  // namespace tocsin::ingress
