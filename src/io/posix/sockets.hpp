#pragma once
// TCP sockets by plain POSIX calls: what every backend that talks to a real kernel shares.
//
// Sockets are close-on-exec. They block unless `type_flags` says SOCK_NONBLOCK: io_uring arms its
// own readiness and would report EAGAIN for a non-blocking socket. Errors are positive errno
// values.

#include <sys/socket.h>

#include <chrono>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

namespace tocsin::io::posix {

/// Fills `address` and returns its length.
[[nodiscard]] socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& address) noexcept;
/// The default Endpoint for a family that is not IP.
[[nodiscard]] Endpoint from_sockaddr(const sockaddr_storage& address) noexcept;

/// A bound, listening socket with SO_REUSEADDR, TCP_NODELAY (which accepted sockets inherit) and,
/// if `shared`, SO_REUSEPORT. An IPv6 endpoint takes IPv6 only, so that "[::]" means what it says.
[[nodiscard]] Result<UniqueFd, Errno> open_listener(const Endpoint& endpoint, bool shared,
                                                    int type_flags = 0);
/// A socket that is ready for connect(), with TCP_NODELAY.
[[nodiscard]] Result<UniqueFd, Errno> open_stream(Endpoint::Family family, int type_flags = 0);

[[nodiscard]] Result<Endpoint, Errno> local_endpoint(int socket);
[[nodiscard]] Result<Endpoint, Errno> peer_endpoint(int socket);
/// Takes the error that waits at a socket, for example how a connect ended.
[[nodiscard]] Errno take_error(int socket) noexcept;

/// How long accepting rests after an error such as EMFILE: long enough not to spin, short enough
/// that a client hardly notices.
inline constexpr std::chrono::milliseconds accept_pause{100};
/// Errors of accept() that concern a connection that was gone before it was accepted; the next may
/// be fine.
[[nodiscard]] bool concerns_one_connection(Errno error) noexcept;

}  // namespace tocsin::io::posix
