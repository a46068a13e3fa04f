#pragma once
// The Io on io_uring (Linux 6.0 or newer): multishot accept and receive with provided buffers, and
// one system call a turn, whatever the number of operations.

#include <memory>
#include <string>

#include "io/io.hpp"

namespace tocsin::io {

/// An Io, or a sentence that says why this machine has none.
///
/// It may be made and prepared (listen, open, lock, about a thousand operations) on one thread and
/// then be used on another: the thread of the first poll() owns it. It may be destroyed by its
/// owner, or by any thread after the owner has ended. Destroying calls no handler.
///
/// Descriptors are the machine's: an accepted connection that finds RLIMIT_NOFILE or streams_max
/// exhausted is reported by on_accept_error (EMFILE, or ENOBUFS with the connection closed).
/// Stale or closed StreamIds are ignored by every call. IPv6 listeners take no IPv4.
[[nodiscard]] Result<std::unique_ptr<Io>, std::string> make_uring_io(const IoOptions& options);

}  // namespace tocsin::io
