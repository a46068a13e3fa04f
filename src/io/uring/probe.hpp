#pragma once
// What io_uring of this kernel offers and what this process may use: shown by `tocsin doctor`, and
// asked before an Io is made. Features are tried, not derived from the version: distributions
// backport, and containers forbid.

#include <cstdint>
#include <string>

#include "io/io.hpp"

namespace tocsin::io {

struct KernelProbe {
  std::string kernel_release;  ///< As `uname -r`.

  bool uring_available = false;    ///< A ring could be made.
  Errno uring_error = 0;           ///< Why not (ENOSYS, EPERM, ENOMEM, EMFILE, ...).
  std::string multishot_reason;    ///< One sentence when !multishot_usable(), else empty.
  std::string single_shot_reason;  ///< The same for single-shot operations.

  // Needed by both.
  bool completion_kept = false;  ///< Completions are never dropped (5.5).
  bool operations = false;       ///< Connect, send, write and the rest (5.6).
  bool disabled_start = false;   ///< A ring may change hands before its first use (5.10).
  // Needed for multishot operation.
  bool extended_wait = false;      ///< Wait with a timeout in one call (5.11).
  bool buffer_rings = false;       ///< Provided buffer rings (5.19).
  bool multishot_accept = false;   ///< (5.19)
  bool multishot_receive = false;  ///< (6.0)
  // Used when present.
  bool cooperative_taskrun = false;  ///< (5.19)
  bool single_issuer = false;        ///< (6.0)
  bool deferred_taskrun = false;     ///< (6.1)

  // RLIM_INFINITY is UINT64_MAX.
  std::uint64_t memlock_bytes_soft = 0;
  std::uint64_t memlock_bytes_hard = 0;
  std::uint64_t files_soft = 0;
  std::uint64_t files_hard = 0;

  /// Whether make_uring_single_io can work.
  [[nodiscard]] bool single_shot_usable() const noexcept {
    return uring_available && completion_kept && operations && disabled_start;
  }
  /// Whether make_uring_io can work.
  [[nodiscard]] bool multishot_usable() const noexcept {
    return single_shot_usable() && extended_wait && buffer_rings && multishot_accept &&
           multishot_receive;
  }
};

/// Takes well below a millisecond, opens a few descriptors and closes them. Any thread.
[[nodiscard]] KernelProbe probe_kernel();

}  // namespace tocsin::io
