#include "protocol/http/request_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <tocsin/limits.hpp>

namespace tocsin::http {
namespace {

constexpr Limits small{.head_size_max = 512, .body_size_max = 64, .chunk_extra_max = 16};

struct Outcome {
  ParseStatus status = ParseStatus::more;
  ParseError error = ParseError::none;
  std::vector<std::string> bodies;
};

Outcome parse(std::string_view bytes, std::size_t step) {
  RequestParser parser(small, nullptr);
  Outcome outcome;
  while (!bytes.empty()) {
    const std::string piece(bytes.substr(0, step));
    const auto fed = parser.feed(piece);
    outcome.status = fed.status;
    if (fed.status == ParseStatus::failed) {
      outcome.error = parser.error();
      break;
    }
    if (fed.status == ParseStatus::complete) outcome.bodies.emplace_back(parser.request().body);
    bytes.remove_prefix(fed.consumed);
  }
  return outcome;
}

// Goal: what FAULTS says HTTP parsers die of is refused, however the bytes are cut.
TEST(HttpRequestParser, RefusesWhatTwoParsersCouldReadDifferently) {
  struct Case {
    std::string_view bytes;
    ParseError error;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", ParseError::syntax},
      {"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", ParseError::syntax},
      {"GET / HTTP/1.1\nHost: a\n\n", ParseError::line_ending},
      {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", ParseError::line_ending},
      {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", ParseError::line_ending},
      {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", ParseError::folded_header},
      {"GET / HTTP/1.1\r\n\r\n", ParseError::host},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", ParseError::host},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ParseError::host},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", ParseError::host},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", ParseError::host},
      {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::host},
      {"GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::host},
      {"GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n", ParseError::host},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", ParseError::framing},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", ParseError::framing},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", ParseError::framing},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nabc", ParseError::framing},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
       ParseError::framing},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
       ParseError::framing},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
       ParseError::transfer_coding},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
       ParseError::transfer_coding},
      {"GET /\r\n\r\n", ParseError::version},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", ParseError::version},
      {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::connect},
      {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::target},
      {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::target},
      {"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::target},
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::target},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::syntax},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n", ParseError::body_too_large},
  };
  for (const Case& c : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{5}, SIZE_MAX}) {
      const Outcome outcome = parse(c.bytes, step);
      EXPECT_EQ(outcome.status, ParseStatus::failed) << c.bytes;
      EXPECT_EQ(to_string(outcome.error), to_string(c.error)) << c.bytes;
    }
  }
}

// Goal: both framings at once are refused, whichever error names it.
TEST(HttpRequestParser, RefusesLengthBesideChunked) {
  for (const std::string_view fields :
       {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"}) {
    const std::string bytes =
        "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n0\r\n\r\n";
    EXPECT_EQ(parse(bytes, SIZE_MAX).status, ParseStatus::failed) << fields;
    EXPECT_EQ(parse(bytes, 1).status, ParseStatus::failed) << fields;
  }
}

// Goal: control characters, NUL among them, do not get into names, values or targets.
TEST(HttpRequestParser, RefusesControlCharacters) {
  for (const char c : {'\0', '\x01', '\x7f'}) {
    for (const std::string_view before :
         {"GET /", "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: a\r\nX: "}) {
      std::string bytes(before);
      bytes += c;
      bytes += before.starts_with("GET / ") ? "st: b\r\n\r\n" : " HTTP/1.1\r\nHost: a\r\n\r\n";
      EXPECT_EQ(parse(bytes, SIZE_MAX).status, ParseStatus::failed) << int{c} << before;
    }
  }
}

TEST(HttpRequestParser, RefusesBadChunks) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string_view body : {"+3\r\nabc\r\n0\r\n\r\n",
                                      "0x3\r\nabc\r\n0\r\n\r\n",
                                      "3\nabc\r\n0\r\n\r\n",
                                      "3\r\nabc\n0\r\n\r\n",
                                      "3\r\nabcd\r\n0\r\n\r\n",
                                      "3 \r\nabc\r\n0\r\n\r\n",
                                      " 3\r\nabc\r\n0\r\n\r\n",
                                      "3;aaaaaaaaaaaaaaaaaaaaaaaa\r\nabc\r\n0\r\n\r\n",
                                      "00000000000000000000000000003\r\nabc\r\n0\r\n\r\n",
                                      "-1\r\n",
                                      "\r\n",
                                      "3;a\nb\r\nabc\r\n0\r\n\r\n",
                                      "0\r\nX: y\n\r\n",
                                      "0\r\n X: y\r\n\r\n",
                                      "0\r\nX: aaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
                                      "0\r\nGET / x:\r\n\r\n",
                                      "0\r\nX\r\n\r\n",
                                      "0\r\nX : y\r\n\r\n",
                                      "0\r\n: y\r\n\r\n",
                                      "3 ;a\r\nabc\r\n0\r\n\r\n"}) {
    for (const std::size_t step : {std::size_t{1}, SIZE_MAX}) {
      const Outcome outcome = parse(head + std::string(body), step);
      EXPECT_EQ(to_string(outcome.error), to_string(ParseError::chunk)) << body;
    }
  }
  EXPECT_EQ(parse(head + "ffffffffffffffffffffff\r\n", 1).error, ParseError::body_too_large);
  EXPECT_EQ(parse(head + "41\r\n", 1).error, ParseError::body_too_large);
}

// Goal: limits hold to the byte.
TEST(HttpRequestParser, HeadLimitIsExact) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string exact = start + std::string(512 - 4 - start.size(), 'x') + "\r\n\r\n";
  ASSERT_EQ(exact.size(), 512U);
  std::string over = exact;
  over.insert(start.size(), "x");
  for (const std::size_t step : {std::size_t{1}, SIZE_MAX}) {
    EXPECT_EQ(parse(exact, step).status, ParseStatus::complete);
    EXPECT_EQ(parse(over, step).error, ParseError::head_too_large);
  }
  RequestParser parser({.head_size_max = 16 * 1024}, nullptr);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (std::size_t i = 1; i < headers_max; ++i) many += "X: y\r\n";
  EXPECT_EQ(parser.feed(many + "\r\n").status, ParseStatus::complete);
  EXPECT_EQ(parser.feed(many + "X: y\r\n\r\n").status, ParseStatus::failed);
  EXPECT_EQ(parser.error(), ParseError::headers_too_many);
}

TEST(HttpRequestParser, SplitsTargetAndFindsFields) {
  RequestParser parser({}, nullptr);
  const std::string bytes =
      "\r\nPOST http://Example:81/a/b?c=d&e HTTP/1.1\r\nhOST: example:81\r\nX-Empty:\r\n"
      "content-TYPE: \t text/plain \t\r\nContent-Length: 0\r\n\r\n";
  ASSERT_EQ(parser.feed(bytes).status, ParseStatus::complete);
  const Request& request = parser.request();
  EXPECT_EQ(request.method, Method::post);
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.query, "c=d&e");
  EXPECT_EQ(request.authority, "Example:81");
  EXPECT_EQ(request.header("Host"), "example:81");
  EXPECT_EQ(request.header("Content-Type"), "text/plain");
  EXPECT_EQ(request.header("x-empty"), "");
  EXPECT_FALSE(request.header("x-emptY2"));
  EXPECT_TRUE(request.keep_alive);
}

TEST(HttpRequestParser, DecidesPersistence) {
  const auto persists = [](std::string_view bytes) {
    RequestParser parser({}, nullptr);
    EXPECT_EQ(parser.feed(bytes).status, ParseStatus::complete) << bytes;
    return parser.request().keep_alive;
  };
  EXPECT_TRUE(persists("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(persists("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"));
  EXPECT_FALSE(persists("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n"));
  EXPECT_FALSE(persists("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(persists("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  EXPECT_TRUE(persists("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"));
}

// Goal: pipelined requests come out one by one, each with its own bytes, and a body that lies in
// the received bytes is not copied.
TEST(HttpRequestParser, PipelinesInPlace) {
  const std::string one = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const std::string two =
      "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
  const std::string bytes = one + two + "GET";
  ByteBudget none(0);
  RequestParser parser({}, &none);
  auto fed = parser.feed(bytes);
  EXPECT_EQ(fed.status, ParseStatus::complete);
  EXPECT_EQ(fed.consumed, one.size());
  EXPECT_EQ(parser.request().body, "abc");
  EXPECT_EQ(parser.request().body.data(), bytes.data() + one.size() - 3);
  fed = parser.feed(std::string_view(bytes).substr(one.size()));
  EXPECT_EQ(fed.status, ParseStatus::complete);
  EXPECT_EQ(fed.consumed, two.size());
  EXPECT_EQ(parser.request().path, "/2");
  EXPECT_EQ(parser.request().body, "defg");
  EXPECT_TRUE(parser.idle());
  EXPECT_EQ(parser.feed("GET").status, ParseStatus::failed);  // No memory to keep it.
  EXPECT_EQ(parser.error(), ParseError::memory);
}

TEST(HttpRequestParser, CollectsChunksAndKeeps) {
  ByteBudget budget(4096);
  {
    RequestParser parser(small, &budget);
    std::string bytes =
        "POST /x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nab\r\n03\r\ncde\r\n0\r\nTrailer: t\r\n\r\n";
    ASSERT_EQ(parser.feed(bytes).status, ParseStatus::complete);
    ASSERT_TRUE(parser.keep());
    bytes.assign(bytes.size(), '!');
    EXPECT_EQ(parser.request().body, "abcde");
    EXPECT_EQ(parser.request().path, "/x");
    EXPECT_EQ(parser.request().authority, "a");
    EXPECT_EQ(budget.used(), parser.capacity() + 2 * json_padding) << "head and body";
    EXPECT_GT(budget.used(), 0U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(HttpRequestParser, AwaitsContinueOnlyBeforeTheBody) {
  RequestParser parser(small, nullptr);
  ASSERT_EQ(parser
                .feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
                      "Content-Length: 2\r\n\r\n")
                .status,
            ParseStatus::more);
  EXPECT_TRUE(parser.awaits_continue());
  EXPECT_TRUE(parser.in_body());
  ASSERT_EQ(parser.feed("a").status, ParseStatus::more);
  EXPECT_FALSE(parser.awaits_continue());
  ASSERT_EQ(parser.feed("b").status, ParseStatus::complete);
  EXPECT_EQ(parser.request().body, "ab");
}

TEST(HttpRequestParser, KnowsExpectations) {
  const auto unknown = [](std::string_view fields, std::string_view version = "1.1") {
    RequestParser parser(small, nullptr);
    const std::string bytes = "POST / HTTP/" + std::string(version) + "\r\nHost: a\r\n" +
                              std::string(fields) + "Content-Length: 2\r\n\r\n";
    EXPECT_EQ(parser.feed(bytes).status, ParseStatus::more);
    EXPECT_EQ(parser.head().path, "/");
    return parser.head().unknown_expectation;
  };
  EXPECT_FALSE(unknown(""));
  EXPECT_FALSE(unknown("Expect: 100-continue\r\n"));
  EXPECT_TRUE(unknown("Expect: 100-continues\r\n"));
  EXPECT_TRUE(unknown("Expect: 100-continue\r\nexpect: x\r\n"));
  EXPECT_TRUE(unknown("Expect:\r\n"));
  EXPECT_FALSE(unknown("Expect: x\r\n", "1.0"));
}

}  // namespace
}  // namespace tocsin::http
