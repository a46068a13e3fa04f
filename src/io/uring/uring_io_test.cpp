// What concerns io_uring only; the common behaviour is in tests/contract.

#include "io/uring/uring_io.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>

#include "io/uring/probe.hpp"

namespace tocsin::io {
namespace {

TEST(UringIo, RefusesBadOptions) {
  if (!probe_kernel().multishot_usable()) GTEST_SKIP() << probe_kernel().multishot_reason;
  EXPECT_FALSE(make_uring_io({.receive_buffers = 3}));
  EXPECT_FALSE(make_uring_io({.receive_buffers = 1U << 16U}));
  EXPECT_FALSE(make_uring_io({.receive_buffer_size = 0}));
}

// Goal: the probe says the same as reality, and says why when there is no ring.
TEST(KernelProbe, ExplainsWhatIsMissing) {
  const KernelProbe probe = probe_kernel();
  EXPECT_EQ(probe.multishot_usable(), probe.multishot_reason.empty());
  EXPECT_EQ(probe.single_shot_usable(), probe.single_shot_reason.empty());
  EXPECT_TRUE(probe.single_shot_usable() || !probe.multishot_usable());
  EXPECT_FALSE(probe.kernel_release.empty());
  EXPECT_GT(probe.files_soft, 0U);
  if (!probe.single_shot_usable()) return;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const KernelProbe starved = probe_kernel();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(starved.single_shot_usable());
  EXPECT_EQ(starved.uring_error, EMFILE);
  EXPECT_NE(starved.single_shot_reason.find("RLIMIT_NOFILE"), std::string::npos)
      << starved.single_shot_reason;
}

}  // namespace
}  // namespace tocsin::io
