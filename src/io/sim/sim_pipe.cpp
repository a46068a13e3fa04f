// The part of SimNetwork that moves bytes.

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "io/sim/sim_network.hpp"

namespace tocsin::io {
namespace {

constexpr std::size_t readable_padding = 64;  // What the contract lets handlers read beyond.

}  // namespace

SimNetwork::Socket* SimNetwork::find(SocketId id) {
  const auto found = sockets_.find(id);
  return found == sockets_.end() ? nullptr : &found->second;
}

SimNetwork::Socket* SimNetwork::find_live(SocketId id) {
  Socket* const socket = find(id);
  return socket != nullptr && socket->state != State::closing ? socket : nullptr;
}

Duration SimNetwork::delay() {
  Duration time = random_.between(faults_.latency_min, faults_.latency_max);
  if (random_.chance(faults_.delay)) time += random_.between({}, faults_.delay_max);
  return time;
}

void SimNetwork::notice(SimNotice kind, const Socket& socket, std::uint64_t value) {
  const std::uint64_t slot = socket.stream ? socket.stream->slot : UINT64_MAX;
  trace_.add(kind, timeline_.now(), socket.process->ordinal, slot, value);
}

// --- sending
// --------------------------------------------------------------------------------------

void SimNetwork::send(SocketId id, std::span<const std::byte> bytes) {
  Socket* const socket = find_live(id);
  if (socket == nullptr) return;
  assert(!socket->send_active && "one send at a time a stream");
  assert(!socket->shut);
  socket->send_active = true;
  socket->send_settled = false;
  socket->unsent = bytes;
  pump(id);
}

// Moves bytes of the active send into the network as far as the window allows.
void SimNetwork::pump(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || !socket->send_active || socket->send_settled) return;
  if (socket->state != State::open) return settle_send(id, ENOTCONN, {});
  if (socket->broken != 0) return settle_send(id, EPIPE, {});
  Socket* const peer = find_live(socket->peer);
  if (peer == nullptr) {
    if (!socket->unsent.empty()) answer_with_reset(id);
    socket->unsent = {};
  }
  while (peer != nullptr && !socket->unsent.empty()) {
    const std::size_t used = peer->inflight_bytes + peer->arrived.size();
    if (used >= faults_.window_bytes) return;
    const std::size_t n =
        std::min({socket->unsent.size(), faults_.window_bytes - used, faults_.segment_bytes});
    const auto part = socket->unsent.first(n);
    queue_segment(socket->peer, {{part.begin(), part.end()}, false, 0});
    socket->unsent = socket->unsent.subspan(n);
  }
  Duration time{};
  if (random_.chance(faults_.slow_send)) time = random_.between({}, faults_.slow_send_max);
  settle_send(id, 0, time);
}

void SimNetwork::settle_send(SocketId id, Errno error, Duration after) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || !socket->send_active || socket->send_settled) return;
  socket->send_settled = true;
  const auto settle = [this, id, error] {
    Socket* const sender = find_live(id);
    if (sender == nullptr) return;
    sender->send_active = false;
    sender->unsent = {};
    notice(SimNotice::sent, *sender, static_cast<std::uint64_t>(error));
    sender->handler->on_sent(error);
  };
  timeline_.after(after, [this, id, settle] {
    if (Socket* const sender = find_live(id)) sender->process->post(settle);
  });
}

void SimNetwork::shut_down(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || socket->shut) return;
  assert(!socket->send_active);
  socket->shut = true;
  if (find_live(socket->peer) != nullptr) queue_segment(socket->peer, {{}, true, 0});
}

void SimNetwork::queue_segment(SocketId to, Segment segment) {
  Socket& socket = sockets_.at(to);
  socket.inflight_bytes += segment.bytes.size();
  socket.inflight.push_back(std::move(segment));
  // TCP keeps order: nothing overtakes a delayed segment.
  socket.last_arrival = std::max(socket.last_arrival, timeline_.now() + delay());
  timeline_.at(socket.last_arrival, [this, to] { arrive(to); });
}

// The other end does not know this connection any more.
void SimNetwork::answer_with_reset(SocketId sender) {
  Socket* const socket = find_live(sender);
  if (socket == nullptr) return;
  socket->unanswered = !powered_;
  if (!powered_) return;
  timeline_.after(delay() + delay(), [this, sender] {
    if (find_live(sender) != nullptr) break_socket(sender, ECONNRESET);
  });
}

// --- receiving
// ------------------------------------------------------------------------------------

// Each arrival event takes the oldest segment, so that order never depends on the events' times.
void SimNetwork::arrive(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || socket->inflight.empty()) return;
  if (blocked(*socket)) {
    ++socket->stalled_arrivals;
    return;
  }
  Segment segment = std::move(socket->inflight.front());
  socket->inflight.pop_front();
  socket->inflight_bytes -= segment.bytes.size();
  if (!segment.end && random_.chance(faults_.reset)) {
    if (find_live(socket->peer) != nullptr) break_socket(socket->peer, ECONNRESET);
    break_socket(id, ECONNRESET);
    return;
  }
  if (segment.end && segment.error != 0) return break_socket(id, segment.error);
  socket->ended |= segment.end;
  socket->arrived.insert(socket->arrived.end(), segment.bytes.begin(), segment.bytes.end());
  post_delivery(id);
}

void SimNetwork::break_socket(SocketId id, Errno error) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || socket->broken != 0) return;
  socket->broken = error;
  socket->inflight.clear();
  socket->inflight_bytes = 0;
  socket->ended = true;
  socket->end_error = error;
  settle_send(id, error, {});
  post_delivery(id);
}

void SimNetwork::receive_start(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr) return;
  socket->receiving = true;
  post_delivery(id);
}

void SimNetwork::receive_stop(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || !socket->receiving) return;
  socket->receiving = false;
  socket->late_data = socket->delivery_posted && !socket->arrived.empty() &&
                      random_.chance(faults_.data_after_stop);
}

void SimNetwork::post_delivery(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || socket->state != State::open || socket->delivery_posted) return;
  const bool has_news = !socket->arrived.empty() || (socket->ended && !socket->end_reported);
  if (!socket->receiving || !has_news) return;
  socket->delivery_posted = true;
  if (!random_.chance(faults_.coalesce)) return socket->process->post([this, id] { deliver(id); });
  timeline_.after(random_.between({}, faults_.coalesce_max), [this, id] {
    if (Socket* const waiting = find_live(id)) waiting->process->post([this, id] { deliver(id); });
  });
}

void SimNetwork::deliver(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr) return;
  socket->delivery_posted = false;
  const bool late = std::exchange(socket->late_data, false);
  if (!socket->receiving && !late) return;
  if (!socket->arrived.empty()) {
    deliver_bytes(id, *socket);
  } else if (socket->ended && !socket->end_reported && socket->receiving) {
    deliver_end(*socket);
  }
  post_delivery(id);
}

void SimNetwork::deliver_bytes(SocketId id, Socket& socket) {
  std::size_t n =
      std::min<std::size_t>(socket.arrived.size(), socket.process->options.receive_buffer_size);
  if (random_.chance(faults_.short_read)) n = 1 + static_cast<std::size_t>(random_.below(n));
  buffer_.resize(n + readable_padding);
  const auto end = socket.arrived.begin() + static_cast<std::ptrdiff_t>(n);
  std::copy(socket.arrived.begin(), end, buffer_.begin());
  random_.fill(std::span(buffer_).subspan(n));
  socket.arrived.erase(socket.arrived.begin(), end);
  const std::span<const std::byte> bytes(buffer_.data(), n);
  notice(SimNotice::data, socket, hash64({reinterpret_cast<const char*>(bytes.data()), n}));
  const SocketId peer = socket.peer;
  socket.handler->on_data(bytes);
  // Whoever kept a pointer into the buffer shall notice.
  std::fill(buffer_.begin(), buffer_.end(), std::byte{0xDD});
  if (find_live(id) != nullptr) pump(peer);
}

void SimNetwork::deliver_end(Socket& socket) {
  socket.end_reported = true;
  socket.receiving = false;
  notice(SimNotice::end, socket, static_cast<std::uint64_t>(socket.end_error));
  socket.handler->on_end(socket.end_error);
}

}  // namespace tocsin::io
