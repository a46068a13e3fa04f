#include "io/posix/sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace tocsin::io::posix {
namespace {

Errno enable(int fd, int level, int option) noexcept {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0 ? 0 : errno;
}

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Result<Endpoint, Errno> endpoint_by(NameCall call, int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (call(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return Unexpected{errno};
  return from_sockaddr(address);
}

}  // namespace

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& address) noexcept {
  std::memset(&address, 0, sizeof address);
  if (endpoint.family == Endpoint::Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.data(), sizeof v4.sin_addr);
    std::memcpy(&address, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(endpoint.port);
  std::memcpy(&v6.sin6_addr, endpoint.address.data(), sizeof v6.sin6_addr);
  std::memcpy(&address, &v6, sizeof v6);
  return sizeof v6;
}

Endpoint from_sockaddr(const sockaddr_storage& address) noexcept {
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    endpoint.port = ntohs(v4.sin_port);
    std::memcpy(endpoint.address.data(), &v4.sin_addr, sizeof v4.sin_addr);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    endpoint.family = Endpoint::Family::v6;
    endpoint.port = ntohs(v6.sin6_port);
    std::memcpy(endpoint.address.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  }
  return endpoint;
}

Result<UniqueFd, Errno> open_stream(Endpoint::Family family, int type_flags) {
  const int domain = family == Endpoint::Family::v4 ? AF_INET : AF_INET6;
  UniqueFd fd{::socket(domain, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0)};
  if (!fd.valid()) return Unexpected{errno};
  if (const Errno error = enable(fd.get(), IPPROTO_TCP, TCP_NODELAY)) return Unexpected{error};
  return fd;
}

Result<UniqueFd, Errno> open_listener(const Endpoint& endpoint, bool shared, int type_flags) {
  auto fd = open_stream(endpoint.family, type_flags);
  if (!fd) return fd;
  const int socket = fd->get();
  Errno error = enable(socket, SOL_SOCKET, SO_REUSEADDR);
  if (error == 0 && shared) error = enable(socket, SOL_SOCKET, SO_REUSEPORT);
  if (error == 0 && endpoint.family == Endpoint::Family::v6) {
    error = enable(socket, IPPROTO_IPV6, IPV6_V6ONLY);
  }
  if (error != 0) return Unexpected{error};
  sockaddr_storage address;
  const socklen_t length = to_sockaddr(endpoint, address);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(socket, SOMAXCONN) != 0) {
    return Unexpected{errno};
  }
  return fd;
}

Result<Endpoint, Errno> local_endpoint(int socket) { return endpoint_by(::getsockname, socket); }
Result<Endpoint, Errno> peer_endpoint(int socket) { return endpoint_by(::getpeername, socket); }

Errno take_error(int socket) noexcept {
  Errno error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

bool concerns_one_connection(Errno error) noexcept {
  return error == ECONNABORTED || error == EPROTO || error == EINTR || error == EAGAIN;
}

}  // namespace tocsin::io::posix
