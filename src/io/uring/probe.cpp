#include "io/uring/probe.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <memory>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "base/unique_fd.hpp"
#include "io/uring/buffer_pool.hpp"

namespace tocsin::io {
namespace {

constexpr unsigned probe_entries = 8;

/// A small ring for one experiment.
class TrialRing {
 public:
  explicit TrialRing(unsigned flags) {
    params_.flags = flags;
    error_ = -io_uring_queue_init_params(probe_entries, &ring_, &params_);
  }
  TrialRing(const TrialRing&) = delete;
  TrialRing& operator=(const TrialRing&) = delete;
  ~TrialRing() {
    if (error_ == 0) io_uring_queue_exit(&ring_);
  }
  [[nodiscard]] Errno error() const noexcept { return error_; }
  [[nodiscard]] bool has(unsigned feature) const noexcept {
    return (params_.features & feature) != 0;
  }
  [[nodiscard]] io_uring& raw() noexcept { return ring_; }

  /// Whether the operation in the queue completes well and stays armed.
  [[nodiscard]] bool completes_and_stays() {
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec time{1, 0};  // Only a broken kernel waits: the input is there already.
    if (io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &time, nullptr) < 0) return false;
    if (cqe == nullptr) return false;
    result_ = cqe->res;
    const bool stays = cqe->res >= 0 && (cqe->flags & IORING_CQE_F_MORE) != 0;
    io_uring_cqe_seen(&ring_, cqe);
    return stays;
  }
  [[nodiscard]] int result() const noexcept { return result_; }

 private:
  io_uring ring_{};
  io_uring_params params_{};
  Errno error_ = 0;
  int result_ = -1;
};

bool setup_accepts(unsigned flags) { return TrialRing(flags).error() == 0; }

bool try_multishot_accept(TrialRing& trial) {
  const UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const UniqueFd client{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // Only the family: the kernel picks a free abstract name.
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  socklen_t length = sizeof name;
  if (::bind(listener.get(), address, sizeof(sa_family_t)) != 0) return false;
  if (::listen(listener.get(), 1) != 0) return false;
  if (::getsockname(listener.get(), address, &length) != 0) return false;
  if (::connect(client.get(), address, length) != 0) return false;
  io_uring_sqe* const sqe = io_uring_get_sqe(&trial.raw());
  io_uring_prep_multishot_accept(sqe, listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  const bool stays = trial.completes_and_stays();
  const UniqueFd accepted{trial.result()};
  return stays;
}

bool try_multishot_receive(TrialRing& trial) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
  const UniqueFd writer{ends[0]};
  const UniqueFd reader{ends[1]};
  if (::write(writer.get(), "x", 1) != 1) return false;
  io_uring_sqe* const sqe = io_uring_get_sqe(&trial.raw());
  io_uring_prep_recv_multishot(sqe, reader.get(), nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = uring::BufferPool::group;
  return trial.completes_and_stays();
}

bool try_operations(io_uring& ring) {
  struct Free {
    void operator()(io_uring_probe* probe) const noexcept { io_uring_free_probe(probe); }
  };
  const std::unique_ptr<io_uring_probe, Free> probe{io_uring_get_probe_ring(&ring)};
  if (!probe) return false;
  constexpr std::array needed{IORING_OP_ACCEPT,  IORING_OP_CONNECT,     IORING_OP_SEND,
                              IORING_OP_WRITE,   IORING_OP_FSYNC,       IORING_OP_POLL_ADD,
                              IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL};
  return std::all_of(needed.begin(), needed.end(), [&](io_uring_op operation) {
    return io_uring_opcode_supported(probe.get(), operation) != 0;
  });
}

void probe_features(KernelProbe& probe) {
  // Declared first: the memory must outlive the ring that it is registered with.
  auto buffers = uring::BufferPool::make(8, 512);
  TrialRing trial(0);
  probe.uring_error = trial.error();
  probe.uring_available = trial.error() == 0;
  if (!probe.uring_available) return;
  probe.extended_wait = trial.has(IORING_FEAT_EXT_ARG);
  probe.completion_kept = trial.has(IORING_FEAT_NODROP);
  probe.operations = try_operations(trial.raw());
  probe.disabled_start = setup_accepts(IORING_SETUP_R_DISABLED);
  probe.cooperative_taskrun = setup_accepts(IORING_SETUP_COOP_TASKRUN);
  probe.single_issuer = setup_accepts(IORING_SETUP_SINGLE_ISSUER);
  probe.deferred_taskrun = setup_accepts(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (!probe.extended_wait) return;
  probe.multishot_accept = try_multishot_accept(trial);
  // A ring of its own: the accept above may still be armed.
  TrialRing receiving(0);
  probe.buffer_rings =
      receiving.error() == 0 && buffers && (*buffers)->attach(receiving.raw()) == 0;
  if (probe.buffer_rings) probe.multishot_receive = try_multishot_receive(receiving);
}

void probe_limits(KernelProbe& probe) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    probe.memlock_bytes_soft = limit.rlim_cur;
    probe.memlock_bytes_hard = limit.rlim_max;
  }
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    probe.files_soft = limit.rlim_cur;
    probe.files_hard = limit.rlim_max;
  }
}

/// The sysctl of Linux 6.6; 0 where it is missing.
int uring_disabled_by_sysctl() {
  const UniqueFd fd{::open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC)};
  char digit = '0';
  if (!fd.valid() || ::read(fd.get(), &digit, 1) != 1) return 0;
  return digit - '0';
}

std::string explain_refusal(Errno error) {
  switch (error) {
    case ENOSYS:
      return "this kernel (or emulator) has no io_uring";
    case EPERM:
    case EACCES:
      return uring_disabled_by_sysctl() > 0
                 ? "io_uring is disabled by the sysctl kernel.io_uring_disabled"
                 : "io_uring is forbidden here, as container runtimes do by seccomp";
    case ENOMEM:
      return "io_uring got no memory; raise RLIMIT_MEMLOCK or the memory limit";
    case EMFILE:
    case ENFILE:
      return "no file descriptor is left for io_uring; raise RLIMIT_NOFILE";
    default:
      return fmt::format("io_uring_setup failed: {}", errno_text(error));
  }
}

/// Names what is missing of `needs`; empty when nothing is.
struct Need {
  bool present;
  const char* what;
};
std::string explain_missing(const KernelProbe& probe, std::initializer_list<Need> needs,
                            const char* since) {
  if (!probe.uring_available) return explain_refusal(probe.uring_error);
  std::string missing;
  for (const Need& need : needs) {
    if (!need.present) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", need.what);
  }
  if (missing.empty()) return missing;
  return fmt::format("the io_uring of Linux {} lacks {}; Linux {} or newer has it",
                     probe.kernel_release, missing, since);
}

void explain(KernelProbe& probe) {
  probe.single_shot_reason = explain_missing(probe,
                                             {{probe.completion_kept, "lossless completions"},
                                              {probe.operations, "operations on sockets"},
                                              {probe.disabled_start, "rings that start disabled"}},
                                             "5.10");
  probe.multishot_reason = probe.single_shot_reason;
  if (!probe.multishot_reason.empty()) return;
  probe.multishot_reason = explain_missing(probe,
                                           {{probe.extended_wait, "waiting with a timeout"},
                                            {probe.buffer_rings, "provided buffer rings"},
                                            {probe.multishot_accept, "multishot accept"},
                                            {probe.multishot_receive, "multishot receive"}},
                                           "6.0");
}

}  // namespace

KernelProbe probe_kernel() {
  KernelProbe probe;
  utsname name{};
  if (::uname(&name) == 0) probe.kernel_release = name.release;
  probe_limits(probe);
  probe_features(probe);
  explain(probe);
  return probe;
}

}  // namespace tocsin::io
