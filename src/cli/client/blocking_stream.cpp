#include "cli/client/blocking_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "io/posix/sockets.hpp"

namespace tocsin::cli {
namespace {

constexpr std::size_t receive_size = 16 * 1024;
constexpr std::size_t padding = 64;

using Clock = std::chrono::steady_clock;

/// 0, an errno, or ETIMEDOUT at the deadline.
int wait_for(int socket, short events, Clock::time_point deadline) noexcept {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return ETIMEDOUT;
    pollfd poll_fd{.fd = socket, .events = events, .revents = 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
  }
}

int connect_to(int socket, const io::Endpoint& endpoint, Clock::time_point deadline) noexcept {
  // Non-blocking for the rest of its life: each call is preceded by a bounded wait.
  if (fcntl(socket, F_SETFL, O_NONBLOCK) != 0) return errno;
  sockaddr_storage address{};
  const socklen_t size = io::posix::to_sockaddr(endpoint, address);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (const int error = wait_for(socket, POLLOUT, deadline); error != 0) return error;
  int error = 0;
  socklen_t error_size = sizeof error;
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0) return errno;
  return error;
}

}  // namespace

BlockingStream::BlockingStream(UniqueFd socket, std::string peer, Clock::time_point deadline)
    : socket_(std::move(socket)), peer_(std::move(peer)), deadline_(deadline), bytes_(padding) {}

Result<BlockingStream, std::string> BlockingStream::connect(const Target& target,
                                                            std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  const auto endpoints = resolve(target);
  if (!endpoints) return Unexpected{endpoints.error()};
  int error = EADDRNOTAVAIL;
  for (const io::Endpoint& endpoint : *endpoints) {
    auto socket = io::posix::open_stream(endpoint.family);
    error = socket ? connect_to(socket->get(), endpoint, deadline) : socket.error();
    if (error == 0) return BlockingStream(std::move(*socket), to_string(target), deadline);
  }
  return Unexpected{fmt::format("cannot connect to {}: {}", to_string(target), errno_text(error))};
}

Result<void, std::string> BlockingStream::wait(short events) const {
  const int error = wait_for(socket_.get(), events, deadline_);
  if (error == 0) return {};
  if (error == ETIMEDOUT) return Unexpected{fmt::format("no answer from {} in time", peer_)};
  return Unexpected{fmt::format("{}: {}", peer_, errno_text(error))};
}

Result<void, std::string> BlockingStream::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (auto ready = wait(POLLOUT); !ready) return ready;
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Unexpected{fmt::format("cannot send to {}: {}", peer_, errno_text(errno))};
    }
  }
  return {};
}

Result<bool, std::string> BlockingStream::receive() {
  bytes_.resize(filled_ + receive_size + padding);
  for (;;) {
    if (auto ready = wait(POLLIN); !ready) return Unexpected{ready.error()};
    const ssize_t size = ::recv(socket_.get(), bytes_.data() + filled_, receive_size, 0);
    if (size >= 0) {
      filled_ += static_cast<std::size_t>(size);
      return size > 0;
    }
    if (errno != EAGAIN && errno != EINTR) {
      return Unexpected{fmt::format("cannot receive from {}: {}", peer_, errno_text(errno))};
    }
  }
}

void BlockingStream::consume(std::size_t size) noexcept {
  assert(size <= filled_);
  std::memmove(bytes_.data(), bytes_.data() + size, filled_ - size);
  filled_ -= size;
}

}  // namespace tocsin::cli
