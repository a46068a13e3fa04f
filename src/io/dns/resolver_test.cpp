#include "io/dns/resolver.hpp"

#include <gtest/gtest.h>

#include <future>

namespace tocsin::io {
namespace {

ResolveResult resolve(Resolver& resolver, const std::string& host) {
  std::promise<ResolveResult> promise;
  auto future = promise.get_future();
  resolver.resolve(host, 443, [&](ResolveResult r) { promise.set_value(std::move(r)); });
  return future.get();
}

TEST(Resolver, AnAddressNeedsNoLookUp) {
  auto resolver = make_resolver({});
  ASSERT_TRUE(resolver.has_value());
  const auto result = resolve(**resolver, "127.0.0.1");
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(to_string((*result)[0]), "127.0.0.1:443");
}

TEST(Resolver, TheHostsFileIsRead) {
  auto resolver = make_resolver({});
  ASSERT_TRUE(resolver.has_value());
  const auto result = resolve(**resolver, "localhost");
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE((*result)[0].is_loopback());
}

TEST(Resolver, PendingLookUpsAreBoundedAndEndWithTheResolver) {
  auto resolver = make_resolver({.pending_max = 0});
  ASSERT_TRUE(resolver.has_value());
  const auto result = resolve(**resolver, "a.invalid");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), ResolveError::busy);
}

// Method: whatever the machine's resolver says about a reserved name, it must say something.
TEST(Resolver, DestroyingItAnswersEveryLookUp) {
  std::promise<ResolveResult> promise;
  auto future = promise.get_future();
  {
    auto resolver = make_resolver({});
    ASSERT_TRUE(resolver.has_value());
    (*resolver)->resolve("name.invalid", 1,
                         [&](ResolveResult r) { promise.set_value(std::move(r)); });
  }
  EXPECT_FALSE(future.get().has_value());
}

TEST(Resolver, StoppedItAnswersAtOnce) {
  auto resolver = make_resolver({});
  ASSERT_TRUE(resolver.has_value());
  int answers = 0;
  (*resolver)->resolve("name.invalid", 1, [&](const ResolveResult&) { ++answers; });
  (*resolver)->stop();
  EXPECT_EQ(answers, 1) << "stop() waits for the callback";
  const auto result = resolve(**resolver, "localhost");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), ResolveError::failed);
  (*resolver)->stop();
}

}  // namespace
}  // namespace tocsin::io
