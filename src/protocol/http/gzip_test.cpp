#include "protocol/http/gzip.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "base/hash.hpp"

namespace tocsin::http {
namespace {

std::string gzip(std::string_view text, int window = 16 + MAX_WBITS) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  std::string in(text);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

struct Decoded {
  GzipStatus status;
  std::string text;
};

Decoded decode(std::string_view coded, const GzipLimits& limits = {}) {
  GzipDecoder decoder;
  ByteBuffer out;
  const GzipStatus status = decoder.decode(coded, limits, out);
  return {status, std::string(out.view())};
}

TEST(GzipDecoderTest, Decodes) {
  for (const std::size_t size : {0U, 1U, 100U, 16'384U, 16'385U, 100'000U}) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(hash64({}, i));
    const Decoded got = decode(gzip(text));
    EXPECT_EQ(got.status, GzipStatus::ok) << size;
    EXPECT_TRUE(got.text == text) << size;
  }
}

// Goal: one decoder serves body after body, whatever became of the one before.
TEST(GzipDecoderTest, StartsAnew) {
  GzipDecoder decoder;
  ByteBuffer out;
  const std::string good = gzip("hello");
  EXPECT_EQ(decoder.decode(good.substr(0, 9), {}, out), GzipStatus::corrupt);
  EXPECT_EQ(decoder.decode(good, {}, out), GzipStatus::ok);
  EXPECT_EQ(decoder.decode(good, {}, out), GzipStatus::ok);
  EXPECT_EQ(out.view(), "hello");
}

// Goal: members stand one behind the other; anything else behind the end is refused.
TEST(GzipDecoderTest, TakesAllMembers) {
  EXPECT_EQ(decode(gzip("ab") + gzip("") + gzip("cd")).text, "abcd");
  EXPECT_EQ(decode(gzip("ab") + "x").status, GzipStatus::corrupt);
  EXPECT_EQ(decode(gzip("ab") + std::string(8, '\0')).status, GzipStatus::corrupt);
}

// Goal: a body that is cut anywhere, or has any byte changed, is never taken for whole.
TEST(GzipDecoderTest, RefusesDamage) {
  const std::string text = "{\"event\":\"order_created\",\"payload\":{\"order_id\":1}}";
  const std::string good = gzip(text);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(decode(good.substr(0, size)).status, GzipStatus::corrupt) << size;
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    const Decoded got = decode(bad);
    EXPECT_TRUE(got.status != GzipStatus::ok || got.text == text) << at;
  }
  EXPECT_EQ(decode(gzip(text, MAX_WBITS)).status, GzipStatus::corrupt) << "zlib is not gzip";
  EXPECT_EQ(decode(gzip(text, -MAX_WBITS)).status, GzipStatus::corrupt) << "nor is deflate";
}

// Goal: limits hold to the byte, and a bomb is not decompressed beyond them.
TEST(GzipDecoderTest, LimitsAreExact) {
  const std::string text(1000, 'x');
  EXPECT_EQ(decode(gzip(text), {.size_max = 1000}).status, GzipStatus::ok);
  EXPECT_EQ(decode(gzip(text), {.size_max = 999}).status, GzipStatus::too_large);
  const std::string bomb = gzip(std::string(8'000'000, '\0'));
  ByteBudget budget(5'000'000);
  GzipDecoder decoder;
  {
    ByteBuffer out(&budget);
    EXPECT_EQ(decoder.decode(bomb, {.size_max = 100'000}, out), GzipStatus::too_large);
    EXPECT_EQ(out.size(), 100'001U);
    EXPECT_EQ(decoder.decode(bomb, {.size_max = 8'000'000}, out), GzipStatus::too_large)
        << "over 256 to 1";
    EXPECT_LT(out.size(), bomb.size() * 256 + 2);
    EXPECT_EQ(decoder.decode(bomb, {.size_max = 8'000'000, .ratio_max = 2000}, out),
              GzipStatus::memory);
  }
  EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace tocsin::http
