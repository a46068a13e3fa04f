#include "io/sim/sim_network.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace tocsin::io {
namespace {

bool is_unspecified(const Endpoint& endpoint) {
  return std::all_of(endpoint.address.begin(), endpoint.address.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

// --- listeners and connections
// --------------------------------------------------------------------

Endpoint SimNetwork::ephemeral(const SimProcess& process, const Endpoint& towards) {
  Endpoint endpoint;
  endpoint.family = towards.family;
  if (towards.is_loopback()) {
    endpoint.address = towards.address;
  } else if (towards.family == Endpoint::Family::v4) {
    endpoint.address = {10, 0, 0, static_cast<std::uint8_t>(process.ordinal + 1)};
  } else {
    endpoint.address[0] = 0xFD;
    endpoint.address[15] = static_cast<std::uint8_t>(process.ordinal + 1);
  }
  endpoint.port = next_port_;
  next_port_ = next_port_ == UINT16_MAX ? 32768 : static_cast<std::uint16_t>(next_port_ + 1);
  return endpoint;
}

Result<ListenerId, Errno> SimNetwork::listen(SimProcess& process, const Endpoint& endpoint,
                                             bool shared, AcceptHandler& handler) {
  Endpoint bound = endpoint;
  if (bound.port == 0) bound.port = ephemeral(process, endpoint).port;
  for (const auto& [slot, listener] : listeners_) {
    if (listener.endpoint == bound && !(shared && listener.shared)) return Unexpected{EADDRINUSE};
  }
  const std::uint32_t slot = next_listener_++;
  listeners_.emplace(slot, Listener{&process, bound, shared, &handler, {}});
  return ListenerId{slot};
}

Endpoint SimNetwork::local_endpoint(ListenerId listener) const {
  const auto found = listeners_.find(listener.slot);
  return found == listeners_.end() ? Endpoint{} : found->second.endpoint;
}

void SimNetwork::drop_backlog(Listener& listener) {
  for (const SocketId id : listener.backlog) {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) continue;
    leave_peer(found->second, true);
    sockets_.erase(found);
  }
  listener.backlog.clear();
}

void SimNetwork::close_listener(ListenerId listener) {
  const auto found = listeners_.find(listener.slot);
  if (found == listeners_.end()) return;
  drop_backlog(found->second);
  listeners_.erase(found);
}

std::optional<std::uint32_t> SimNetwork::find_listener(const Endpoint& endpoint) {
  std::vector<std::uint32_t> found;
  for (const auto& [slot, listener] : listeners_) {
    const Endpoint& own = listener.endpoint;
    const bool matches = own == endpoint || (own.family == endpoint.family &&
                                             own.port == endpoint.port && is_unspecified(own));
    if (matches) found.push_back(slot);
  }
  if (found.empty()) return std::nullopt;
  return found[found.size() == 1 ? 0 : static_cast<std::size_t>(random_.below(found.size()))];
}

Result<StreamId, Errno> SimNetwork::connect(SimProcess& process, const Endpoint& endpoint,
                                            StreamHandler& handler) {
  if (process.streams_full()) return Unexpected{EMFILE};
  const SocketId id = next_socket_++;
  Socket socket;
  socket.process = &process;
  socket.handler = &handler;
  socket.local = ephemeral(process, endpoint);
  socket.remote = endpoint;
  socket.state = State::connecting;
  socket.stream = process.add_stream(id);
  const StreamId stream = *socket.stream;
  sockets_.emplace(id, std::move(socket));
  timeline_.after(delay(), [this, id] { begin_connect(id); });
  return stream;
}

void SimNetwork::begin_connect(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr) return;
  const auto slot = find_listener(socket->remote);
  if (blocked(*socket) || (!slot && !powered_)) {
    socket->stalled_connect = true;
    return;
  }
  bool refused = !slot || random_.chance(faults_.connect_refused);
  if (slot && scripted_refusals_ > 0) {
    --scripted_refusals_;
    refused = true;
  }
  if (refused) {
    timeline_.after(delay(), [this, id] { finish_connect(id, ECONNREFUSED); });
    return;
  }
  Listener& listener = listeners_.at(*slot);
  const SocketId other = next_socket_++;
  Socket accepted;
  accepted.process = listener.process;
  accepted.local = socket->remote;
  accepted.remote = socket->local;
  accepted.peer = id;
  socket->peer = other;
  sockets_.emplace(other, std::move(accepted));
  listener.backlog.push_back(other);
  post_accept(*slot);
  timeline_.after(delay(), [this, id] { finish_connect(id, 0); });
}

void SimNetwork::finish_connect(SocketId id, Errno error) {
  Socket* const socket = find_live(id);
  if (socket == nullptr || socket->state != State::connecting) return;
  socket->state = error == 0 ? State::open : State::failed;
  socket->process->post([this, id, error] {
    Socket* const connected = find_live(id);
    if (connected == nullptr) return;
    notice(SimNotice::connected, *connected, static_cast<std::uint64_t>(error));
    connected->handler->on_connected(error);
    post_delivery(id);
  });
}

void SimNetwork::post_accept(std::uint32_t slot) {
  listeners_.at(slot).process->post([this, slot] { accept(slot); });
}

void SimNetwork::fail_accept(std::uint32_t slot, Errno error) {
  const Listener& listener = listeners_.at(slot);
  trace_.add(SimNotice::accept_error, timeline_.now(), listener.process->ordinal, slot,
             static_cast<std::uint64_t>(error));
  listener.handler->on_accept_error(error);
}

void SimNetwork::accept(std::uint32_t slot) {
  const auto found = listeners_.find(slot);
  if (found == listeners_.end() || found->second.backlog.empty()) return;
  Listener& listener = found->second;
  if (listener.process->streams_full()) {
    // There is no handle to accept it with: it is turned away.
    const SocketId turned_away = listener.backlog.front();
    listener.backlog.pop_front();
    leave_peer(sockets_.at(turned_away), false);
    sockets_.erase(turned_away);
    return fail_accept(slot, EMFILE);
  }
  Errno error = random_.chance(faults_.accept_error) ? EMFILE : 0;
  if (scripted_accepts_.count > 0) {
    --scripted_accepts_.count;
    error = scripted_accepts_.error;
  }
  if (error != 0) {
    timeline_.after(faults_.accept_pause, [this, slot] {
      if (listeners_.contains(slot)) post_accept(slot);
    });
    return fail_accept(slot, error);
  }
  const SocketId id = listener.backlog.front();
  listener.backlog.pop_front();
  Socket& socket = sockets_.at(id);
  socket.stream = listener.process->add_stream(id);
  notice(SimNotice::accepted, socket, socket.remote.port);
  StreamHandler* const handler = listener.handler->on_accept(*socket.stream, socket.remote);
  Socket* const accepted = find(id);
  if (accepted == nullptr) return;  // The handler ended the process.
  accepted->handler = handler;
  if (handler == nullptr) close(id);
}

void SimNetwork::close(SocketId id) {
  Socket* const socket = find_live(id);
  if (socket == nullptr) return;
  // As the kernel does: bytes that nobody read make it a reset.
  leave_peer(*socket, !socket->arrived.empty() || socket->inflight_bytes > 0);
  socket->state = State::closing;
  socket->inflight.clear();
  socket->inflight_bytes = 0;
  socket->arrived.clear();
  Duration time{};
  if (random_.chance(faults_.slow_close)) time = random_.between({}, faults_.slow_close_max);
  const auto finish = [this, id] {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    Socket closed = std::move(found->second);
    sockets_.erase(found);
    closed.process->remove_stream(*closed.stream);
    notice(SimNotice::closed, closed, 0);
    if (closed.handler != nullptr) closed.handler->on_closed();
  };
  timeline_.after(time, [this, id, finish] {
    if (Socket* const closing = find(id)) closing->process->post(finish);
  });
}

// Tells the other side that this one is gone.
void SimNetwork::leave_peer(Socket& socket, bool reset) {
  if (socket.broken != 0 || find_live(socket.peer) == nullptr) return;
  if (reset || !socket.shut) queue_segment(socket.peer, {{}, true, reset ? ECONNRESET : 0});
}

void SimNetwork::end_process(const SimProcess& process, SimEnd end) {
  for (auto& [slot, listener] : listeners_) {
    if (listener.process == &process && end != SimEnd::power_cut) drop_backlog(listener);
  }
  std::erase_if(listeners_, [&](const auto& entry) { return entry.second.process == &process; });
  for (auto& [id, socket] : sockets_) {
    if (socket.process != &process || socket.state == State::closing) continue;
    const bool unread = !socket.arrived.empty() || socket.inflight_bytes > 0;
    if (end != SimEnd::power_cut) leave_peer(socket, unread || end == SimEnd::killed);
    Socket* const peer = find_live(socket.peer);
    if (end == SimEnd::power_cut && peer != nullptr)
      peer->unanswered |= socket.inflight_bytes > 0 || peer->send_active;
  }
  std::erase_if(sockets_, [&](const auto& entry) { return entry.second.process == &process; });
}

void SimNetwork::boot() {
  if (powered_) return;
  powered_ = true;
  for (auto& [id, socket] : sockets_) {
    if (socket.unanswered) answer_with_reset(id);
    if (!std::exchange(socket.stalled_connect, false)) continue;
    timeline_.after(delay(), [this, connecting = id] { begin_connect(connecting); });
  }
}

// --- partitions and resets
// ------------------------------------------------------------------------

bool SimNetwork::touches(const Socket& socket, const Endpoint& endpoint) const {
  const auto matches = [&](const Endpoint& own) {
    return own.family == endpoint.family && own.address == endpoint.address &&
           (endpoint.port == 0 || own.port == endpoint.port);
  };
  return matches(socket.local) || matches(socket.remote);
}

bool SimNetwork::blocked(const Socket& socket) const {
  return std::any_of(partitions_.begin(), partitions_.end(),
                     [&](const Endpoint& endpoint) { return touches(socket, endpoint); });
}

void SimNetwork::heal(const Endpoint& endpoint) {
  std::erase(partitions_, endpoint);
  for (auto& [id, socket] : sockets_) {
    if (blocked(socket)) continue;
    for (; socket.stalled_arrivals > 0; --socket.stalled_arrivals) {
      timeline_.after(faults_.latency_max, [this, to = id] { arrive(to); });
    }
    if (!std::exchange(socket.stalled_connect, false)) continue;
    timeline_.after(delay(), [this, connecting = id] { begin_connect(connecting); });
  }
}

void SimNetwork::heal_all() {
  while (!partitions_.empty()) heal(Endpoint(partitions_.back()));
}

void SimNetwork::reset(const Endpoint& endpoint) {
  for (auto& [id, socket] : sockets_) {
    if (socket.state == State::open && touches(socket, endpoint)) break_socket(id, ECONNRESET);
  }
}

}  // namespace tocsin::io
