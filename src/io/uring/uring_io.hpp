#pragma once
// The Io on io_uring: one system call a turn submits whatever the turn started. With multishot
// accept and receive and provided buffers (Linux 6.0), or with single-shot operations (5.10).

#include <cstdint>
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

/// Which kernel's features make_uring_single_io uses at most: tests run what Linux 5.10 would.
enum class UringBaseline : std::uint8_t { newest, linux_5_10 };
/// Bytes are received by a plain call when a poll in the ring tells that they have come.
[[nodiscard]] Result<std::unique_ptr<Io>, std::string> make_uring_single_io(
    const IoOptions& options, UringBaseline baseline = UringBaseline::newest);

}  // namespace tocsin::io
