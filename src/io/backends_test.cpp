#include "io/backends.hpp"

#include <gtest/gtest.h>

namespace tocsin::io {
namespace {

// Goal: whatever the machine offers, `auto` finds something that works and says why.
TEST(Backends, AutoFindsOne) {
  const auto chosen = choose_backend("auto");
  ASSERT_TRUE(chosen) << chosen.error();
  EXPECT_FALSE(chosen->why.empty());
  const auto io = make_io(chosen->backend, {});
  ASSERT_TRUE(io) << io.error();
  EXPECT_EQ((*io)->backend(), chosen->backend);
}

// Goal: what is forced is what one gets, or an error; never silently another.
TEST(Backends, ForcedIsKeptOrRefused) {
  for (const char* const name : {"uring", "uring-single", "epoll"}) {
    const auto chosen = choose_backend(name);
    if (chosen) {
      EXPECT_EQ(to_string(chosen->backend), name);
      EXPECT_TRUE(make_io(chosen->backend, {}));
    } else {
      EXPECT_NE(chosen.error().find(name), std::string::npos);
    }
  }
  EXPECT_TRUE(choose_backend("epoll"));
  EXPECT_FALSE(choose_backend("select"));
}

}  // namespace
}  // namespace tocsin::io
