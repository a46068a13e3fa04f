#include "protocol/http/serializer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tocsin::http {
namespace {

// Goal: a prepared head writes what append_head() writes, for every length of the body and with or
// without a date, and is known to be out of date.
TEST(HttpSerializer, PreparedHeadsAreTheSame) {
  for (const std::string_view date : {"", "Sun, 06 Nov 1994 08:49:37 GMT"}) {
    PreparedHead prepared;
    EXPECT_FALSE(prepared.is_of(date));
    prepared.make(202, "application/json", date);
    EXPECT_TRUE(prepared.is_of(date));
    EXPECT_FALSE(prepared.is_of("Sun, 06 Nov 1994 08:49:38 GMT"));
    for (const std::size_t size : {0U, 9U, 10U, 120U, 100'000U}) {
      const std::string body(size, 'b');
      ByteBuffer expected;
      ASSERT_TRUE(append_head(expected, {.status = 202,
                                         .content_type = "application/json",
                                         .content_length = size,
                                         .date = date}));
      ASSERT_TRUE(expected.append(body));
      ByteBuffer written;
      ASSERT_TRUE(written.append("before"));
      ASSERT_TRUE(prepared.append(written, body));
      EXPECT_EQ(written.view(), "before" + std::string(expected.view()));
    }
  }
}

TEST(HttpSerializer, PreparedHeadsRespectTheBudget) {
  PreparedHead prepared;
  prepared.make(202, "application/json", "");
  ByteBudget budget(100);
  ByteBuffer out(&budget);
  EXPECT_FALSE(prepared.append(out, std::string(200, 'b')));
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace tocsin::http
