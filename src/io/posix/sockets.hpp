#pragma once
// TCP sockets by plain POSIX calls: what every backend that talks to a real kernel shares.
//
// Sockets are close-on-exec and blocking: io_uring arms its own readiness and would report EAGAIN
// for a non-blocking socket. Errors are positive errno values.

#include <sys/socket.h>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

namespace tocsin::io::posix {

/// Fills `address` and returns its length.
[[nodiscard]] socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& address) noexcept;
/// The default Endpoint for a family that is not IP.
[[nodiscard]] Endpoint from_sockaddr(const sockaddr_storage& address) noexcept;

/// A bound, listening socket with SO_REUSEADDR, TCP_NODELAY (which accepted sockets inherit) and,
/// if `shared`, SO_REUSEPORT. An IPv6 endpoint takes IPv6 only, so that "[::]" means what it says.
[[nodiscard]] Result<UniqueFd, Errno> open_listener(const Endpoint& endpoint, bool shared);
/// A socket that is ready for connect(), with TCP_NODELAY.
[[nodiscard]] Result<UniqueFd, Errno> open_stream(Endpoint::Family family);

[[nodiscard]] Result<Endpoint, Errno> local_endpoint(int socket);
[[nodiscard]] Result<Endpoint, Errno> peer_endpoint(int socket);

}  // namespace tocsin::io::posix
