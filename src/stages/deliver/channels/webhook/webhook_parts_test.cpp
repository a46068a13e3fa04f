#include <gtest/gtest.h>

#include "stages/deliver/channels/webhook/classify.hpp"
#include "stages/deliver/channels/webhook/message.hpp"
#include "stages/deliver/channels/webhook/signature.hpp"
#include "stages/deliver/channels/webhook/url.hpp"

namespace tocsin::deliver {
namespace {

TEST(Signature, StandardWebhooksVector) {
  const auto secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  ASSERT_TRUE(secret.has_value());
  EXPECT_EQ(secret->sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Signature, RotationSendsBoth) {
  const auto a = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  const auto b = SigningSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
  ASSERT_TRUE(a && b);
  const std::array both{*a, *b};
  EXPECT_EQ(signature_header(both, "i", 1, "x"), a->sign("i", 1, "x") + " " + b->sign("i", 1, "x"));
}

TEST(Signature, WeakOrMalformedSecretsAreRefused) {
  for (const char* bad : {"", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!"}) {
    EXPECT_FALSE(SigningSecret::parse(bad).has_value()) << bad;
  }
}

// Goal: the same notifications make the same id in any order, other notifications another one, and
// a single one its own.
TEST(Message, IdIsMadeOfItsNotifications) {
  const auto id = [](std::vector<std::uint64_t> numbers) {
    std::vector<OutgoingNotification> notifications;
    for (const std::uint64_t number : numbers) {
      notifications.push_back({.id = {.hi = 1, .lo = number},
                               .event_id = {},
                               .rule = {},
                               .event_type = {},
                               .subject = {},
                               .body = {},
                               .traceparent = {}});
    }
    return message_id(notifications);
  };
  EXPECT_EQ(id({7}), "msg_00000000000000010000000000000007");
  EXPECT_EQ(id({1, 2, 3}), id({3, 1, 2}));
  EXPECT_NE(id({1, 2, 3}), id({1, 2}));
  EXPECT_NE(id({1, 2, 3}), id({1, 2, 4}));
}

TEST(Url, IsTakenApart) {
  const auto url = parse_url("https://hooks.example.com:8443/a/b?c=d");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->host, "hooks.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/a/b?c=d");
  EXPECT_EQ(url->authority(), "hooks.example.com:8443");
  EXPECT_EQ(parse_url("https://h?x")->target, "/?x");
  EXPECT_EQ(parse_url("https://[::1]:9/x")->authority(), "[::1]:9");
  EXPECT_EQ(parse_url("http://h")->authority(), "h");
}

TEST(Url, TricksAreRefused) {
  for (const char* bad :
       {"", "ftp://h/", "https://", "https:///x", "https://u@h/", "https://u:p@h/", "https://h/#f",
        "https://h /", "https://h\r\nX: y/", "https://2130706433/", "https://0x7f.1/",
        "https://0177.0.0.1/", "https://h:0/", "https://h:99999/", "https://h:/", "https://[::1/",
        "https://[::1]x/", "https://b\xC3\xBC.de/"}) {
    EXPECT_FALSE(parse_url(bad).has_value()) << bad;
  }
}

// FAULTS X15: what each status means for the next attempt.
TEST(Classify, StatusAndRetryAfter) {
  using std::chrono::milliseconds;
  const auto verdict = [](int status) { return classify_status(status, "", {}).verdict; };
  for (const int status : {200, 201, 202, 204}) EXPECT_EQ(verdict(status), Verdict::delivered);
  for (const int status : {301, 302, 308, 400, 404, 410, 413, 422}) {
    EXPECT_EQ(verdict(status), Verdict::permanent) << status;
  }
  for (const int status : {401, 403, 407}) EXPECT_EQ(verdict(status), Verdict::auth);
  for (const int status : {408, 425, 429}) EXPECT_EQ(verdict(status), Verdict::throttled);
  for (const int status : {500, 502, 503, 504}) EXPECT_EQ(verdict(status), Verdict::transient);
  EXPECT_EQ(classify_status(503, "7", {}).verdict, Verdict::throttled);
  EXPECT_EQ(classify_status(429, "7", {}).retry_after, milliseconds(7000));
  const WallTime now = from_us<WallTime>(784'111'770LL * 1'000'000);
  EXPECT_EQ(classify_status(429, "Sun, 06 Nov 1994 08:49:37 GMT", now).retry_after,
            milliseconds(7000));
  EXPECT_EQ(classify_status(429, "Sun, 06 Nov 1994 08:49:00 GMT", now).retry_after,
            milliseconds(0));
  const WallTime later = from_us<WallTime>(2'208'988'800LL * 1'000'000);
  EXPECT_EQ(classify_status(429, "Sun, 01 Jan 2040 00:00:07 GMT", later).retry_after,
            milliseconds(7000))
      << "beyond 32 bits of seconds";
  for (const char* bad : {"", "-5", "7x", "soon", "99999999999999999999"}) {
    EXPECT_EQ(classify_status(429, bad, {}).retry_after, milliseconds(0)) << bad;
  }
}

}  // namespace
}  // namespace tocsin::deliver
