#include "io/backends.hpp"

#include <fmt/format.h>

#include "io/epoll/epoll_io.hpp"
#include "io/uring/probe.hpp"
#include "io/uring/uring_io.hpp"

namespace tocsin::io {
namespace {

BackendChoice choose_best(const KernelProbe& probe) {
  if (probe.multishot_usable()) return {Backend::uring, "the best, and this kernel has it"};
  if (probe.single_shot_usable()) return {Backend::uring_single, probe.multishot_reason};
  return {Backend::epoll, probe.single_shot_reason};
}

}  // namespace

Result<BackendChoice, std::string> choose_backend(std::string_view wanted) {
  // Without trying io_uring: who asks for epoll may have a reason not to touch it.
  if (wanted == to_string(Backend::epoll)) return BackendChoice{Backend::epoll, "as configured"};
  const KernelProbe probe = probe_kernel();
  if (wanted == "auto") return choose_best(probe);
  for (const Backend backend : {Backend::uring, Backend::uring_single}) {
    if (wanted != to_string(backend)) continue;
    const std::string& missing =
        backend == Backend::uring ? probe.multishot_reason : probe.single_shot_reason;
    if (!missing.empty()) return Unexpected{fmt::format("no {} here: {}", wanted, missing)};
    return BackendChoice{backend, "as configured"};
  }
  return Unexpected{fmt::format("\"{}\" is none of {}", wanted, backend_choices)};
}

Result<std::unique_ptr<Io>, std::string> make_io(Backend backend, const IoOptions& options) {
  switch (backend) {
    case Backend::uring:
      return make_uring_io(options);
    case Backend::uring_single:
      return make_uring_single_io(options);
    case Backend::epoll:
      return make_epoll_io(options);
    case Backend::sim:
      break;
  }
  return Unexpected{std::string{"a simulated Io belongs to its world"}};
}

}  // namespace tocsin::io
