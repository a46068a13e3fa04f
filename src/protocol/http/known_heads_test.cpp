#include "protocol/http/known_heads.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/http/request_parser.hpp"

namespace tocsin::http {
namespace {

constexpr Limits small{.head_size_max = 2048, .body_size_max = 64, .chunk_extra_max = 16};

constexpr std::string_view fields =
    "Host: a\r\nAuthorization: Bearer secret\r\nContent-Type: application/json\r\n";

std::string post(std::string_view length, std::string_view body = "{\"n\":1}",
                 std::string_view more = "") {
  return "POST /api/events?x=1 HTTP/1.1\r\n" + std::string(fields) +
         "Content-Length: " + std::string(length) + "\r\n" + std::string(more) + "\r\n" +
         std::string(body);
}

/// What was read, in words.
std::string describe(const Request& request) {
  std::string text = std::to_string(static_cast<int>(request.method));
  text += request.http11 ? " 1.1 " : " 1.0 ";
  text += request.keep_alive ? "stays " : "closes ";
  text += std::string(request.target) + "|" + std::string(request.path) + "|" +
          std::string(request.query) + "|" + std::string(request.authority) + "|";
  for (std::size_t i = 0; i < request.headers->size(); ++i) {
    text += std::string(request.headers->at(i).name) + "=";
    text += std::string(request.headers->at(i).value) + ";";
  }
  text += std::string(request.header(Field::content_length).value_or("none")) + "|";
  return text + std::string(request.body);
}

/// One connection; `heads` null: nothing is recognized.
struct Reader {
  explicit Reader(KnownHeads* heads) {
    if (heads != nullptr) parser.recognize(*heads, recent);
  }
  /// Reads everything in pieces of `step` bytes. Counts requests whose head was recognized.
  std::vector<std::string> read(std::string_view bytes, std::size_t step = SIZE_MAX) {
    std::vector<std::string> log;
    while (!bytes.empty()) {
      const std::string piece(bytes.substr(0, step));
      const auto fed = parser.feed(piece);
      bytes.remove_prefix(fed.consumed);
      if (fed.status == ParseStatus::failed) {
        log.emplace_back(to_string(parser.error()));
        break;
      }
      if (fed.status != ParseStatus::complete) continue;
      const Request& request = parser.request();
      if (request.known != HeadName{}) ++recognized;
      log.push_back(describe(request));
    }
    return log;
  }
  RecentHeads recent;
  RequestParser parser{small, nullptr};
  int recognized = 0;
};

TEST(KnownHeads, RecognizesAHeadThatComesAgain) {
  KnownHeads heads(1);
  Reader reader(&heads);
  for (int i = 0; i < 5; ++i) reader.read(post("7"));
  EXPECT_EQ(reader.recognized, 3);  // Seen, kept, recognized.
  // Another connection is known after its first request: nothing has to be kept again.
  Reader other(&heads);
  for (int i = 0; i < 3; ++i) other.read(post("7"));
  EXPECT_EQ(other.recognized, 2);
}

// Goal: recognized or not, the same is read, though lengths, heads and cuts vary.
TEST(KnownHeads, MeansTheSame) {
  KnownHeads heads(1);
  Reader with(&heads);
  Reader without(nullptr);
  const std::string get = "GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
  const std::string chunked = "POST /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string bytes;
  for (int i = 0; i < 4; ++i) {
    bytes += post("7") + post("2", "{}") + get + chunked + "2\r\n{}\r\n0\r\n\r\n" +
             post("10", "{\"n\":1234}") + post("07");
    bytes += get + get + post("0", "") + post("4", "true");
  }
  for (const std::size_t step : {std::size_t{SIZE_MAX}, std::size_t{1}, std::size_t{150}}) {
    const auto expected = without.read(bytes, step);
    EXPECT_EQ(expected.size(), 40U);
    EXPECT_EQ(with.read(bytes, step), expected) << step;
  }
  EXPECT_GT(with.recognized, 10);
}

// Goal: a head that differs anywhere, by any byte, is read as if nothing were known.
TEST(KnownHeads, OneByteMakesAnotherHead) {
  const std::string head = post("7", "");
  for (std::size_t at = 0; at < head.size(); ++at) {
    for (const char c : {'0', '9', 'x', ' ', '\r', '\n', ':', ',', '\0'}) {
      std::string changed = head;
      changed[at] = c;
      changed += "{\"n\":1}";
      KnownHeads heads(1);
      Reader with(&heads);
      for (int i = 0; i < 3; ++i) with.read(post("7"));
      ASSERT_EQ(with.recognized, 1);
      ASSERT_EQ(with.read(changed), Reader(nullptr).read(changed)) << at << ' ' << int{c};
    }
  }
}

TEST(KnownHeads, LengthsAreCheckedEachTime) {
  const auto after_good = [](std::string_view bytes) {
    KnownHeads heads(1);
    Reader reader(&heads);
    for (int i = 0; i < 3; ++i) reader.read(post("07"));
    EXPECT_EQ(reader.recognized, 1);
    return reader.read(bytes).back();
  };
  for (const char* bad : {"+7", "7,", "0x", " 7,", "-7"}) {
    EXPECT_EQ(after_good(post(bad)), "framing") << bad;
  }
  EXPECT_EQ(after_good(post("65")), "body_too_large");
  EXPECT_EQ(after_good(post("07", "{\"n\":1}", "Content-Length: 07\r\n")), "framing");
  EXPECT_EQ(after_good(post("07", "{\"n\":1}", "Transfer-Encoding: chunked\r\n")), "framing");
}

// Goal: what is waited with stays as it was, whatever others send meanwhile.
TEST(KnownHeads, AKeptRequestIsItsOwn) {
  KnownHeads heads(1);
  Reader waiting(&heads);
  Reader other(&heads);
  for (int i = 0; i < 3; ++i) waiting.read(post("07"));
  const auto expected = waiting.read(post("07")).back();
  {
    const std::string bytes = post("07");
    ASSERT_EQ(waiting.parser.feed(bytes).status, ParseStatus::complete);
    ASSERT_TRUE(waiting.parser.keep());
  }
  for (int i = 0; i < 3; ++i) other.read(post("12", "{\"n\":123456}"));
  EXPECT_EQ(describe(waiting.parser.request()), expected);
  EXPECT_EQ(waiting.parser.request().known, HeadName{});

  const std::string begun = post("07", "{\"n\"");
  ASSERT_EQ(waiting.parser.feed(begun).status, ParseStatus::more);
  for (int i = 0; i < 3; ++i) other.read(post("12", "{\"n\":123456}"));
  ASSERT_EQ(waiting.parser.feed(":1}").status, ParseStatus::complete);
  EXPECT_EQ(describe(waiting.parser.request()), expected);
}

// Goal: bounded. Heads that are never the same drive nobody out; a forgotten head is not mistaken
// for the one in its place.
TEST(KnownHeads, ForgetsWithoutMistakes) {
  KnownHeads heads(1);
  Reader regular(&heads);
  for (int i = 0; i < 3; ++i) regular.read(post("7"));
  Reader unique(&heads);
  for (int i = 0; i < 1000; ++i) {
    unique.read(post("7", "{\"n\":1}", "Request-Id: " + std::to_string(i) + "\r\n"));
  }
  EXPECT_EQ(unique.recognized, 0);
  regular.read(post("7"));
  EXPECT_EQ(regular.recognized, 2);

  std::vector<std::unique_ptr<Reader>> many;
  Reader plain(nullptr);
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < 4 * KnownHeads::slots; ++i) {
      if (round == 0) many.push_back(std::make_unique<Reader>(&heads));
      const std::string bytes = post("7", "{\"n\":1}", "Device: " + std::to_string(i) + "\r\n");
      ASSERT_EQ(many[i]->read(bytes + bytes), plain.read(bytes + bytes));
    }
  }
}

TEST(KnownHeads, LeavesWhatIsRareAlone) {
  KnownHeads heads(1);
  Reader reader(&heads);
  const std::string large = post("7", "{\"n\":1}", "X: " + std::string(1024, 'x') + "\r\n");
  for (int i = 0; i < 4; ++i) {
    reader.read(large);
    reader.read("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    reader.read("GET / HTTP/1.0\r\n\r\n");
    reader.read(post("7", "{\"n\":1}", "Expect: 100-continue\r\n"));
  }
  EXPECT_EQ(reader.recognized, 0);
}

}  // namespace
}  // namespace tocsin::http
