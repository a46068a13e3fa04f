#include "io/epoll/listeners.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "io/epoll/poller.hpp"
#include "io/epoll/streams.hpp"
#include "io/posix/clocks.hpp"
#include "io/posix/sockets.hpp"

namespace tocsin::io::epoll {
namespace {

/// A storm of connections must leave time for those that stand.
constexpr int accepts_per_turn_max = 64;

}  // namespace

std::uint32_t Listeners::free_slot() {
  const auto unused = std::find_if(listeners_.begin(), listeners_.end(),
                                   [](const Listener& l) { return l.handler == nullptr; });
  const auto slot = static_cast<std::uint32_t>(unused - listeners_.begin());
  if (unused == listeners_.end()) listeners_.emplace_back();
  return slot;
}

Result<ListenerId, Errno> Listeners::open(const Endpoint& endpoint, bool shared,
                                          AcceptHandler& handler) {
  auto socket = posix::open_listener(endpoint, shared, SOCK_NONBLOCK);
  if (!socket) return Unexpected{socket.error()};
  const std::uint32_t slot = free_slot();
  Listener& listener = listeners_[slot];
  // Level-triggered: what one turn leaves is told again by the next.
  const Errno error =
      poller_.add(socket->get(), EPOLLIN, {SourceKind::listener, listener.generation, slot});
  if (error != 0) return Unexpected{error};
  listener.socket = std::move(*socket);
  listener.handler = &handler;
  return ListenerId{slot};
}

Endpoint Listeners::local_endpoint(ListenerId id) const {
  assert(id.slot < listeners_.size());
  const auto endpoint = posix::local_endpoint(listeners_[id.slot].socket.get());
  return endpoint ? *endpoint : Endpoint{};
}

void Listeners::close(ListenerId id) {
  if (id.slot >= listeners_.size() || listeners_[id.slot].handler == nullptr) return;
  Listener& listener = listeners_[id.slot];
  listener = Listener{.socket = {},
                      .handler = nullptr,
                      .generation = (listener.generation + 1) & 0xFF'FFFFU,
                      .rest_until = MonoTime::max()};
}

void Listeners::ready(std::uint32_t slot, std::uint32_t generation) {
  for (int i = 0; i < accepts_per_turn_max; ++i) {
    // Asked each time: the handler may close the listener, and open another in its place.
    const Listener& listener = listeners_[slot];
    if (listener.handler == nullptr || listener.generation != generation) return;
    if (!accept_one(slot)) return;
  }
}

bool Listeners::accept_one(std::uint32_t slot) {
  AcceptHandler* const handler = listeners_[slot].handler;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  UniqueFd socket{::accept4(listeners_[slot].socket.get(), reinterpret_cast<sockaddr*>(&address),
                            &length, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!socket.valid()) {
    const Errno error = errno;
    if (error == EAGAIN) return false;
    if (posix::concerns_one_connection(error)) return true;
    rest(slot);
    handler->on_accept_error(error);
    return false;
  }
  const auto id = streams_.adopt(std::move(socket));
  if (!id) {
    // Those that wait would all be turned away, each with a report.
    rest(slot);
    handler->on_accept_error(id.error());
    return false;
  }
  StreamHandler* const stream_handler = handler->on_accept(*id, posix::from_sockaddr(address));
  streams_.bind(*id, stream_handler);
  return true;
}

void Listeners::rest(std::uint32_t slot) {
  Listener& listener = listeners_[slot];
  listener.rest_until = posix::mono_now() + posix::accept_pause;
  next_due_ = std::min(next_due_, listener.rest_until);
  [[maybe_unused]] const Errno error =
      poller_.change(listener.socket.get(), 0, {SourceKind::listener, listener.generation, slot});
  assert(error == 0);
}

void Listeners::resume(MonoTime now) {
  if (now < next_due_) return;
  next_due_ = MonoTime::max();
  for (std::uint32_t slot = 0; slot < listeners_.size(); ++slot) {
    Listener& listener = listeners_[slot];
    if (listener.handler == nullptr || listener.rest_until == MonoTime::max()) continue;
    if (now < listener.rest_until) {
      next_due_ = std::min(next_due_, listener.rest_until);
      continue;
    }
    listener.rest_until = MonoTime::max();
    [[maybe_unused]] const Errno error = poller_.change(
        listener.socket.get(), EPOLLIN, {SourceKind::listener, listener.generation, slot});
    assert(error == 0);
  }
}

}  // namespace tocsin::io::epoll
