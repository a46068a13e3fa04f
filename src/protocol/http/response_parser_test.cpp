#include "protocol/http/response_parser.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tocsin::http {
namespace {

struct Outcome {
  ParseStatus status = ParseStatus::more;
  ParseError error = ParseError::none;
  std::uint16_t code = 0;
  std::string body;
  bool cut = false;
  bool keep_alive = false;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view bytes, std::size_t step, bool to_head = false) {
  ResponseParser parser({.head_size_max = 512, .body_size_max = 8, .chunk_extra_max = 16}, nullptr);
  parser.start(to_head);
  Outcome outcome;
  const auto note = [&] {
    outcome.code = parser.response().status;
    outcome.body = parser.response().body;
    outcome.cut = parser.response().body_cut;
    outcome.keep_alive = parser.response().keep_alive;
  };
  while (!bytes.empty() && outcome.status == ParseStatus::more) {
    const std::string piece(bytes.substr(0, step));
    const auto fed = parser.feed(piece);
    outcome.status = fed.status;
    if (fed.status == ParseStatus::complete) note();
    bytes.remove_prefix(fed.consumed);
  }
  if (outcome.status == ParseStatus::more) {
    outcome.status = parser.finish();
    if (outcome.status == ParseStatus::complete) note();
  }
  outcome.error = parser.error();
  return outcome;
}

// Goal: each way a body can end gives body and persistence, however the bytes are cut.
TEST(HttpResponseParser, ReadsEveryKindOfBody) {
  struct Case {
    std::string_view bytes;
    Outcome wanted;
  };
  const auto good = [](std::uint16_t code, std::string body, bool keep_alive, bool cut = false) {
    return Outcome{.status = ParseStatus::complete,
                   .code = code,
                   .body = std::move(body),
                   .cut = cut,
                   .keep_alive = keep_alive};
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", good(200, "abc", true)},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", good(200, "", true)},
      {"HTTP/1.1 204 No Content\r\n\r\n", good(204, "", true)},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", good(304, "", true)},
      {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", good(200, "a", false)},
      {"HTTP/1.1 500 \r\nConnection: close\r\nContent-Length: 1\r\n\r\na", good(500, "a", false)},
      {"HTTP/1.1 200 OK\r\n\r\nabc", good(200, "abc", false)},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
       good(200, "abc", true)},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
       "HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\na",
       good(202, "a", true)},
      {"HTTP/1.1 200 OK\r\n\r\nabcdefghijkl", good(200, "abcdefgh", false, true)},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi", good(200, "abcdefgh", false, true)},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabcdefghi\r\n0\r\n\r\n",
       good(200, "abcdefgh", false, true)},
  };
  for (const Case& c : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
      EXPECT_EQ(parse(c.bytes, step), c.wanted) << c.bytes << " step " << step;
    }
  }
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 1, true), good(200, "", true));
}

TEST(HttpResponseParser, RefusesBadResponses) {
  struct Case {
    std::string_view bytes;
    ParseError error;
  };
  std::string interims;
  for (std::uint32_t i = 0; i <= ResponseParser::interim_max; ++i) {
    interims += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", ParseError::truncated},
      {"HTTP/1.1 200 OK\r\nContent-", ParseError::truncated},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", ParseError::truncated},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
       "fffffffffffffffffffffffffffffffffffffffff\r\n",
       ParseError::chunk},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", ParseError::framing},
      {"HTTP/1.1 200 OK\nContent-Length: 1\n\na", ParseError::line_ending},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
       ParseError::interim},
      {interims, ParseError::interim},
      {"SSH-2.0-OpenSSH\r\n\r\n", ParseError::syntax},
      {"", ParseError::truncated},
  };
  for (const Case& c : cases) {
    for (const std::size_t step : {std::size_t{1}, SIZE_MAX}) {
      const Outcome outcome = parse(c.bytes, step);
      EXPECT_EQ(outcome.status, ParseStatus::failed) << c.bytes;
      EXPECT_EQ(to_string(outcome.error), to_string(c.error)) << c.bytes;
    }
  }
}

// Goal: what is not HTTP is refused with its first wrong byte, not when a head would be complete,
// also for the second response of a connection.
TEST(HttpResponseParser, RefusesAnotherProtocolAtOnce) {
  ResponseParser parser({}, nullptr);
  for (const std::string_view bytes :
       {"220 mail ESMTP\r\n", "220 mail\n", "SSH-2.0", "x", "HTTQ", "\r\n\x15\x03"}) {
    parser.start(false);
    ASSERT_EQ(parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").status,
              ParseStatus::complete);
    parser.start(false);
    EXPECT_EQ(parser.feed(bytes).status, ParseStatus::failed) << bytes;
    EXPECT_EQ(parser.error(), ParseError::syntax) << bytes;
  }
  for (const std::string_view bytes : {"H", "HTTP/", "\r", "\r\n", "\r\nHTTP/1.1 2"}) {
    parser.start(false);
    EXPECT_EQ(parser.feed(bytes).status, ParseStatus::more) << bytes;
  }
}

TEST(HttpResponseParser, SaysWhetherARequestMayBeRepeated) {
  ResponseParser parser({}, nullptr);
  parser.start(false);
  EXPECT_TRUE(parser.idle());
  EXPECT_EQ(parser.feed("H").status, ParseStatus::more);
  EXPECT_FALSE(parser.idle());
  parser.start(false);
  EXPECT_TRUE(parser.idle());
}

}  // namespace
}  // namespace tocsin::http
