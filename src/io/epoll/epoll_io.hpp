#pragma once
// The Io on epoll: for kernels before io_uring, containers that forbid it, and emulators.

#include <memory>
#include <string>

#include "io/io.hpp"

namespace tocsin::io {

/// An Io, or a sentence that says why this machine has none. Its rules are those of make_uring_io.
/// Destroying it waits for the file operation that runs.
[[nodiscard]] Result<std::unique_ptr<Io>, std::string> make_epoll_io(const IoOptions& options);

}  // namespace tocsin::io
