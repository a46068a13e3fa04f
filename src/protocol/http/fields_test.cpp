#include "protocol/http/fields.hpp"

#include <gtest/gtest.h>

#include <string>

#include "protocol/http/serializer.hpp"

namespace tocsin::http {
namespace {

TEST(HttpFields, MediaTypeAndCharset) {
  EXPECT_EQ(media_type(" Application/JSON ; charset=utf-8"), "Application/JSON");
  EXPECT_TRUE(charset_is_utf8("application/json"));
  EXPECT_TRUE(charset_is_utf8("application/json; a=b; Charset=\"UTF-8\""));
  EXPECT_FALSE(charset_is_utf8("application/json; charset=utf-16"));
  EXPECT_FALSE(charset_is_utf8("application/json; charset"));
}

// Goal: CloudEvents values are decoded once and strictly (HTTP binding section 3.1.3.2).
TEST(HttpFields, DecodesCloudEventsValues) {
  const auto decode = [](std::string_view value) -> std::string {
    std::string out = "kept";
    if (!decode_cloudevents_value(value, out)) {
      EXPECT_EQ(out, "kept");
      return "refused";
    }
    return out.substr(4);
  };
  EXPECT_EQ(decode("plain"), "plain");
  EXPECT_EQ(decode("Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro \u20AC \U0001F600");
  EXPECT_EQ(decode("%e2%82%ac"), "\u20AC");
  EXPECT_EQ(decode("%2541"), "%41");
  EXPECT_EQ(decode("\"a \\\"b\\\" c\""), "a \"b\" c");
  EXPECT_EQ(decode("\"a%20b\""), "a b");
  EXPECT_EQ(decode("%C0%A0"), "refused");        // Overlong.
  EXPECT_EQ(decode("%E0%80%80"), "refused");     // Overlong.
  EXPECT_EQ(decode("%ED%A0%80"), "refused");     // Surrogate.
  EXPECT_EQ(decode("%F4%90%80%80"), "refused");  // Above U+10FFFF.
  EXPECT_EQ(decode("%E2%82"), "refused");
  EXPECT_EQ(decode("%FF"), "refused");
  EXPECT_EQ(decode("%4"), "refused");
  EXPECT_EQ(decode("%zz"), "refused");
  EXPECT_EQ(decode("a%00b"), "refused");
  EXPECT_EQ(decode("a%0Ab"), "refused");
  EXPECT_EQ(decode("\"a\"b\""), "refused");
  EXPECT_EQ(decode("\"a\\\""), "refused");
}

TEST(HttpFields, HostAndOrigin) {
  EXPECT_EQ(host_of("a.b:80"), "a.b");
  EXPECT_EQ(host_of("a"), "a");
  EXPECT_EQ(host_of("[::1]:80"), "::1");
  EXPECT_FALSE(host_of("::1"));
  EXPECT_FALSE(host_of("[::1]x"));
  EXPECT_FALSE(host_of("a:b"));
  EXPECT_FALSE(host_of(":80"));
  EXPECT_EQ(authority_of_origin("HTTP://a:1"), "a:1");
  EXPECT_FALSE(authority_of_origin("null"));
  EXPECT_FALSE(authority_of_origin("http://"));
}

TEST(HttpSerializer, WritesHeadAndDate) {
  ByteBuffer out;
  DateCache date;
  const WallTime moment{std::chrono::seconds(784111777)};  // RFC 9110 section 5.6.7's example.
  ASSERT_TRUE(append_head(out, {.status = 202,
                                .content_type = "application/json",
                                .content_length = 12,
                                .persistence = Persistence::close,
                                .date = date.at(moment),
                                .extra = "Allow: GET\r\n"}));
  EXPECT_EQ(out.view(),
            "HTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: application/json\r\nContent-Length: 12\r\nConnection: close\r\n"
            "Allow: GET\r\n\r\n");
  EXPECT_EQ(date.at(moment + std::chrono::hours(24 * 60)), "Thu, 05 Jan 1995 08:49:37 GMT");
  const std::string huge(600, 'x');
  const std::size_t before = out.size();
  EXPECT_FALSE(append_head(out, {.content_type = huge}));
  EXPECT_EQ(out.size(), before);
}

}  // namespace
}  // namespace tocsin::http
