#include "protocol/http/authorization.hpp"

#include <gtest/gtest.h>

namespace tocsin::http {
namespace {

TEST(AuthorizationTest, ReadsBearer) {
  const auto parsed = Authorization::parse("bEARER  abc-._~+/1==");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->scheme(), Authorization::Scheme::bearer);
  EXPECT_EQ(parsed->token(), "abc-._~+/1==");
  EXPECT_EQ(parsed->user(), "");
  EXPECT_EQ(parsed->password(), "");
}

TEST(AuthorizationTest, ReadsBasic) {
  // RFC 7617 sections 2 and 2.1.
  const auto plain = Authorization::parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->user(), "Aladdin");
  EXPECT_EQ(plain->password(), "open sesame");
  const auto utf8 = Authorization::parse("basic dGVzdDoxMjPCow==");
  ASSERT_TRUE(utf8);
  EXPECT_EQ(utf8->password(), "123\xC2\xA3");
  const auto colons = Authorization::parse("Basic YTpiOmM=");
  ASSERT_TRUE(colons);
  EXPECT_EQ(colons->user(), "a");
  EXPECT_EQ(colons->password(), "b:c");
}

TEST(AuthorizationTest, RefusesTheRest) {
  for (const std::string_view value :
       {"", "Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer =", "Bearer \"a\"",
        "Digest abc", "Basic", "Basic !", "Basic QQ==", "Basic QTo", "Basic gzqA",
        "Basic YQE6Yg==", "BearerX abc", " Bearer abc"}) {
    EXPECT_FALSE(Authorization::parse(value)) << value;
  }
}

}  // namespace
}  // namespace tocsin::http
