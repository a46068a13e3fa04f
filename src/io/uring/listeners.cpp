#include "io/uring/listeners.hpp"

#include <liburing.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "io/posix/sockets.hpp"
#include "io/uring/ring.hpp"
#include "io/uring/streams.hpp"

namespace tocsin::io::uring {
namespace {

const __kernel_timespec accept_pause{
    0, std::chrono::duration_cast<std::chrono::nanoseconds>(posix::accept_pause).count()};

}  // namespace

std::uint32_t Listeners::free_slot() {
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    const Listener& listener = listeners_[i];
    if (listener.handler == nullptr && listener.operations == 0) {
      return static_cast<std::uint32_t>(i);
    }
  }
  listeners_.emplace_back();
  return static_cast<std::uint32_t>(listeners_.size() - 1);
}

Result<ListenerId, Errno> Listeners::open(const Endpoint& endpoint, bool shared,
                                          AcceptHandler& handler) {
  auto socket = posix::open_listener(endpoint, shared);
  if (!socket) return Unexpected{socket.error()};
  const std::uint32_t slot = free_slot();
  listeners_[slot].socket = std::move(*socket);
  listeners_[slot].handler = &handler;
  listeners_[slot].tired = false;
  arm_accept(slot);
  return ListenerId{slot};
}

Endpoint Listeners::local_endpoint(ListenerId id) const {
  assert(id.slot < listeners_.size());
  const auto endpoint = posix::local_endpoint(listeners_[id.slot].socket.get());
  return endpoint ? *endpoint : Endpoint{};
}

void Listeners::arm_accept(std::uint32_t slot) {
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::accept, 0, slot});
  const int socket = listeners_[slot].socket.get();
  if (multishot_) {
    io_uring_prep_multishot_accept(sqe, socket, nullptr, nullptr, SOCK_CLOEXEC);
  } else {
    io_uring_prep_accept(sqe, socket, nullptr, nullptr, SOCK_CLOEXEC);
  }
  ++listeners_[slot].operations;
}

void Listeners::cancel_accept(std::uint32_t slot) {
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::accept_cancel, 0, slot});
  io_uring_prep_cancel64(sqe, OpTag{OpKind::accept, 0, slot}.pack(), 0);
  ++listeners_[slot].operations;
}

void Listeners::arm_pause(std::uint32_t slot) {
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::accept_pause, 0, slot});
  // The cast is for the C interface: the kernel only reads it.
  io_uring_prep_timeout(sqe, const_cast<__kernel_timespec*>(&accept_pause), 0, 0);
  ++listeners_[slot].operations;
}

void Listeners::close(ListenerId id) {
  if (id.slot >= listeners_.size() || listeners_[id.slot].handler == nullptr) return;
  listeners_[id.slot].handler = nullptr;
  cancel(id.slot);
}

void Listeners::cancel(std::uint32_t slot) {
  // Stops listening at once, while the accept operation still holds the socket.
  ::shutdown(listeners_[slot].socket.get(), SHUT_RDWR);
  for (const OpKind kind : {OpKind::accept, OpKind::accept_pause}) {
    io_uring_sqe* const sqe = ring_.next_sqe({OpKind::accept_cancel, 0, slot});
    io_uring_prep_cancel64(sqe, OpTag{kind, 0, slot}.pack(), 0);
    ++listeners_[slot].operations;
  }
}

void Listeners::cancel_all() {
  for (std::uint32_t slot = 0; slot < listeners_.size(); ++slot) {
    if (listeners_[slot].handler != nullptr) cancel(slot);
  }
}

void Listeners::complete(const Completion& completion) {
  const std::uint32_t slot = completion.tag.slot;
  assert(slot < listeners_.size());
  if (!completion.more()) {
    assert(listeners_[slot].operations > 0);
    --listeners_[slot].operations;
  }
  if (completion.tag.kind == OpKind::accept) {
    completed_accept(slot, completion);
  } else if (completion.tag.kind == OpKind::accept_pause && listeners_[slot].handler != nullptr) {
    arm_accept(slot);
  }
  Listener& listener = listeners_[slot];  // Not before: a handler may open another listener.
  if (listener.handler == nullptr && listener.operations == 0) listener.socket.reset();
}

void Listeners::completed_accept(std::uint32_t slot, const Completion& completion) {
  UniqueFd socket{completion.result >= 0 ? completion.result : -1};
  AcceptHandler* const handler = listeners_[slot].handler;
  if (handler == nullptr) return;
  Errno error = completion.error();
  // Without a peer it was reset before we came to it.
  const auto peer = socket.valid() ? posix::peer_endpoint(socket.get()) : Unexpected{error};
  StreamId stream;
  if (peer) {
    const auto adopted = streams_.adopt(std::move(socket));
    if (adopted) stream = *adopted;
    if (!adopted) error = adopted.error();
  }
  const bool rest = error != 0 && !posix::concerns_one_connection(error);
  const bool told = listeners_[slot].tired;
  rearm(slot, completion.more(), rest);
  // Last, because the handler may close the listener.
  if (rest) {
    if (!told) handler->on_accept_error(error);
  } else if (peer) {
    streams_.bind(stream, handler->on_accept(stream, *peer));
  }
}

void Listeners::rearm(std::uint32_t slot, bool more, bool rest) {
  Listener& listener = listeners_[slot];
  if (more) {
    if (rest && !std::exchange(listener.tired, true)) cancel_accept(slot);
  } else if (std::exchange(listener.tired, false) || rest) {
    arm_pause(slot);
  } else {
    arm_accept(slot);
  }
}

}  // namespace tocsin::io::uring
