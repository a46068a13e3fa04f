// Requests that find memory for a part of their events only, or for none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "flow/quota_table.hpp"
#include "stages/ingress/http/server.hpp"
#include "stages/ingress/http/server_fixture_test.hpp"

namespace tocsin::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string batch(std::string_view body, std::string_view fields = "") {
  return "POST /api/events/batch HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string event(std::string_view body) {
  return "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

class HttpCapacityTest : public test::HttpFixture {
 protected:
  void settle_all() {
    for (std::size_t i = settled_; i < intake_.acks.size(); ++i) intake_.settle(i, true);
    settled_ = intake_.acks.size();
    turns();
  }

  std::size_t settled_ = 0;
};

// Goal: the client sees one answer with every entry accepted, in order, as if there had been memory
// from the start; each entry is taken once; requests behind it wait.
TEST_F(HttpCapacityTest, GoesOnWhereItStopped) {
  start();
  auto& client = io_.connect_client();
  intake_.room = 2;
  test::FakeIo::deliver(client, batch("[1,bad,3,4,5]") + batch("[6]"));
  settle_all();
  EXPECT_EQ(client.sent, "");
  EXPECT_FALSE(client.receiving);
  EXPECT_EQ(intake_.acks.size(), 1U);
  intake_.room = 2;
  intake_.set_ready();
  settle_all();
  EXPECT_EQ(client.sent, "");
  EXPECT_EQ(intake_.acks.size(), 3U);
  intake_.room = UINT32_MAX;
  intake_.set_ready();
  EXPECT_TRUE(client.receiving);
  settle_all();
  EXPECT_EQ(intake_.acks.size(), 5U);
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 207 "));
  EXPECT_THAT(client.sent, Not(HasSubstr("urn:tocsin:problem:capacity")));
  std::size_t at = 0;
  for (const char* part : {"[\n", "000001\"},\n", "{\"error\":", "000002\"},\n", "000003\"},\n",
                           "000004\"}\n]", "HTTP/1.1 202 ", "[\n", "000005\"}\n]"}) {
    const std::size_t found = client.sent.find(part, at);
    ASSERT_NE(found, std::string::npos) << part << '\n' << client.sent;
    at = found + 1;
  }
  std::vector<std::uint64_t> details;
  for (const flow::AckToken& token : intake_.acks) details.push_back(token.detail & UINT32_MAX);
  EXPECT_THAT(details, ::testing::ElementsAre(0, 2, 3, 4, 0));
}

// Goal: not even the first entry finds room, and nothing is charged twice.
TEST_F(HttpCapacityTest, ChargesABatchOnce) {
  start();
  flow::QuotaTable quotas({.address_rate = 1, .address_burst = 3}, 1);
  server_->set_quotas(&quotas);
  auto& client = io_.connect_client();
  intake_.room = 0;
  test::FakeIo::deliver(client, batch("[1,2,3]"));
  intake_.room = 1;
  intake_.set_ready();
  intake_.room = UINT32_MAX;
  intake_.set_ready();
  settle_all();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 202 "));
  client.sent.clear();
  test::FakeIo::deliver(client, batch("[4]"));
  turns();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 429 "));
}

// Goal: who cannot be kept gets verdicts at once, and a failed commit names the right entries.
TEST_F(HttpCapacityTest, WithoutMemoryTheRestIsRefused) {
  HttpOptions options;
  options.carry_bytes_max = 1500;
  start(options);
  auto& client = io_.connect_client();
  intake_.room = 1;
  test::FakeIo::deliver(client, batch("[1," + std::string(1200, '2') + "]"));
  settle_all();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 207 "));
  EXPECT_THAT(client.sent, HasSubstr("urn:tocsin:problem:capacity"));
}

TEST_F(HttpCapacityTest, FailedCommitsOfEitherPartAreNamed) {
  start();
  auto& client = io_.connect_client();
  intake_.room = 2;
  test::FakeIo::deliver(client, batch("[1,2,3]"));
  intake_.settle(1, false);
  intake_.settle(0, true);
  intake_.room = UINT32_MAX;
  intake_.set_ready();
  intake_.settle(2, true);
  turns();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 207 "));
  const std::size_t error = client.sent.find("{\"error\":");
  EXPECT_LT(client.sent.find("000001\"},\n"), error);
  EXPECT_GT(client.sent.find("000003\"}\n]"), error);
  EXPECT_EQ(client.sent.find("000002"), std::string::npos);
}

// Goal: a compressed batch is unpacked again and goes on at the same entry.
TEST_F(HttpCapacityTest, ACompressedBatchGoesOnToo) {
  start();
  std::string packed(256, '\0');
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string body = "[1,2,3]";
  stream.next_in = reinterpret_cast<Bytef*>(body.data());
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  auto& client = io_.connect_client();
  intake_.room = 1;
  test::FakeIo::deliver(client, batch(packed, "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(intake_.acks.size(), 1U);
  intake_.room = UINT32_MAX;
  intake_.set_ready();
  settle_all();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 202 "));
  EXPECT_EQ(intake_.acks.size(), 3U);
  EXPECT_EQ(intake_.events.back().payload, body);
}

// Goal: single events wait like batches, in their order, and are charged once; answers before them
// leave meanwhile.
TEST_F(HttpCapacityTest, ASingleEventWaits) {
  start();
  flow::QuotaTable quotas({.address_rate = 1, .address_burst = 3}, 1);
  server_->set_quotas(&quotas);
  auto& client = io_.connect_client();
  intake_.room = 1;
  test::FakeIo::deliver(client, event("1") + event("2") + event("3"));
  intake_.set_ready();
  settle_all();
  EXPECT_EQ(intake_.acks.size(), 1U);
  EXPECT_THAT(client.sent, HasSubstr("000001\"}"));
  EXPECT_FALSE(client.receiving);
  intake_.room = UINT32_MAX;
  intake_.set_ready();
  settle_all();
  EXPECT_EQ(intake_.acks.size(), 3U);
  EXPECT_EQ(intake_.events.back().payload, "3");
  EXPECT_THAT(client.sent, Not(HasSubstr("HTTP/1.1 4")));
  EXPECT_THAT(client.sent, Not(HasSubstr("HTTP/1.1 5")));
  std::size_t answers = 0;
  for (std::size_t at = client.sent.find("HTTP/1.1 202 "); at != std::string::npos;
       at = client.sent.find("HTTP/1.1 202 ", at + 1)) {
    ++answers;
  }
  EXPECT_EQ(answers, 3U);
  EXPECT_TRUE(client.receiving);
}

// Goal: a client that leaves meanwhile takes everything of its own along.
TEST_F(HttpCapacityTest, TheClientMayLeave) {
  start();
  auto& client = io_.connect_client();
  intake_.room = 1;
  test::FakeIo::deliver(client, batch("[1,2,3]"));
  client.handler->on_end(ECONNRESET);
  turns();
  EXPECT_TRUE(client.closed);
  intake_.room = UINT32_MAX;
  intake_.set_ready();
  settle_all();
  EXPECT_EQ(intake_.acks.size(), 1U);
  auto& next = io_.connect_client();
  test::FakeIo::deliver(next, batch("[4]"));
  settle_all();
  EXPECT_THAT(next.sent, StartsWith("HTTP/1.1 202 "));
}

}  // namespace
}  // namespace tocsin::ingress
