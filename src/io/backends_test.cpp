#include "io/backends.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

namespace tocsin::io {
namespace {

/// As container runtimes do it. False where filters cannot be set.
bool forbid_io_uring() {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Goal: where a container forbids io_uring, the engine takes epoll by itself and says why.
// Method: a child process with a seccomp filter.
TEST(Backends, AutoTakesEpollWhereUringIsForbidden) {
  EXPECT_EXIT(
      {
        if (!forbid_io_uring()) std::_Exit(0);  // Nothing to test here.
        const auto chosen = choose_backend("auto");
        const bool right = chosen && chosen->backend == Backend::epoll &&
                           chosen->why.find("forbidden") != std::string::npos &&
                           make_io(chosen->backend, {}) && !choose_backend("uring");
        std::_Exit(right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

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
