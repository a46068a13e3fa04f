#include "io/tls/tls_server.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/errno_text.hpp"
#include "io/tls/tls_connection.hpp"

namespace tocsin::io {
namespace {

// How long the last bytes, an alert, may take.
constexpr Duration linger_for = std::chrono::seconds(2);
// A StreamHandler may read that much beyond its data.
constexpr std::size_t readable_after = 64;

}  // namespace

TlsServer::TlsServer(Io& io, std::string name, const TlsServerLimits& limits, ByteBudget& memory,
                     AddressGate* gate, Log log, std::shared_ptr<const TlsServerContext> context,
                     Accept accept)
    : io_(io),
      name_(std::move(name)),
      limits_(limits),
      memory_(memory),
      gate_(gate),
      log_(std::move(log)),
      context_(std::move(context)),
      accept_(std::move(accept)),
      plaintext_(MBEDTLS_SSL_IN_CONTENT_LEN + readable_after) {}

TlsServer::~TlsServer() = default;

Result<Endpoint, std::string> TlsServer::listen(const Endpoint& endpoint, bool shared) {
  const auto listener = io_.listen(endpoint, shared, *this);
  if (!listener) {
    return Unexpected{fmt::format("cannot listen for TLS on {}: {}", to_string(endpoint),
                                  errno_text(listener.error()))};
  }
  listeners_.push_back(*listener);
  return io_.local_endpoint(*listener);
}

void TlsServer::set_context(std::shared_ptr<const TlsServerContext> context) {
  context_ = std::move(context);
}

StreamHandler* TlsServer::on_accept(StreamId stream, const Endpoint& peer) noexcept {
  stats_.accepted.add();
  const bool full =
      open_ >= limits_.connections_max || (room_ != nullptr && unfinished() >= room_());
  if (draining_ || full || (gate_ != nullptr && !gate_->admit(peer))) {
    refused(TlsRefusal::limit);
    return nullptr;
  }
  if (free_slots_.empty()) {
    const auto slot = static_cast<std::uint32_t>(connections_.size());
    connections_.push_back(std::make_unique<TlsConnection>(*this, slot));
    free_slots_.push_back(slot);
  }
  TlsConnection& connection = *connections_[free_slots_.back()];
  free_slots_.pop_back();
  ++open_;
  stats_.opened.add();
  connection.open(stream, peer);
  waiting_.push_back({connection.id(), io_.now() + limits_.handshake_timeout});
  return &connection;
}

void TlsServer::on_accept_error(Errno error) noexcept {
  log_->warn("TLS: cannot accept a connection: {}", errno_text(error));
}

// From tick() only: a connection that cannot begin is closed, which its own on_accept() is too
// early for.
void TlsServer::start_waiting(MonoTime now) {
  while (handshakes_ < limits_.handshakes_max && !waiting_.empty()) {
    // Much of what handshakes are charged with is there again when they are done.
    if (handshakes_ > 0 && context_->handshake_bytes() > tls_connection_bytes &&
        context_->handshake_bytes() > memory_.max() - memory_.used()) {
      return;
    }
    TlsConnection* const connection = find(waiting_.front().stream);
    waiting_.pop_front();
    // It may have had to go meanwhile.
    if (connection == nullptr || !connection->waiting()) continue;
    if (connection->begin_handshake(context_)) {
      ++handshakes_;
      handshaking_.push_back({connection->id(), now + limits_.handshake_timeout});
      compact();
    } else {
      connection->refuse(TlsRefusal::memory);
    }
  }
}

void TlsServer::linger(StreamId stream) { lingering_.push_back({stream, io_.now() + linger_for}); }

// Entries of connections that are done would otherwise stay until their time comes, and who
// connects and leaves all the time would make them many.
void TlsServer::compact() {
  if (handshaking_.size() <= 2 * std::size_t{open_} + 64) return;
  std::erase_if(handshaking_, [&](const Deadline& deadline) {
    const TlsConnection* const connection = find(deadline.stream);
    return connection == nullptr || !connection->handshaking();
  });
}

TlsConnection* TlsServer::find(StreamId stream) noexcept {
  if (stream.slot >= connections_.size()) return nullptr;
  TlsConnection* const connection = connections_[stream.slot].get();
  return connection->in_use() && connection->id() == stream ? connection : nullptr;
}

MonoTime TlsServer::tick(MonoTime now) noexcept {
  const auto expire = [&](std::deque<Deadline>& deadlines, auto concerns) {
    while (!deadlines.empty()) {
      const Deadline next = deadlines.front();
      TlsConnection* const connection = find(next.stream);
      const bool stale = connection == nullptr || !concerns(*connection);
      if (!stale && next.due > now) return next.due;
      deadlines.pop_front();
      if (!stale) connection->expire();
    }
    return MonoTime::max();
  };
  expire(handshaking_, [](const auto& c) { return c.handshaking(); });
  // Who has waited as long as those before him were stuck still gets his turn.
  start_waiting(now);
  const MonoTime waiting = expire(waiting_, [](const auto& c) { return c.waiting(); });
  const MonoTime lingering = expire(lingering_, [](const auto& c) { return !c.handshaking(); });
  const MonoTime handshaking = handshaking_.empty() ? MonoTime::max() : handshaking_.front().due;
  return std::min({waiting, handshaking, lingering});
}

void TlsServer::drain() noexcept {
  if (std::exchange(draining_, true)) return;
  for (const ListenerId listener : listeners_) io_.close_listener(listener);
  listeners_.clear();
  waiting_.clear();
  for (const auto& connection : connections_) {
    if (connection->in_use() && connection->handshaking()) connection->refuse(TlsRefusal::closed);
  }
}

void TlsServer::recycle(TlsConnection& connection) noexcept {
  if (gate_ != nullptr) gate_->release(connection.peer());
  free_slots_.push_back(connection.id().slot);
  --open_;
  stats_.closed.add();
}

void TlsServer::receive_start(StreamId stream) {
  if (TlsConnection* const connection = find(stream)) connection->receive_start();
}

void TlsServer::receive_stop(StreamId stream) {
  if (TlsConnection* const connection = find(stream)) connection->receive_stop();
}

void TlsServer::send(StreamId stream, std::span<const std::byte> bytes) {
  if (TlsConnection* const connection = find(stream)) connection->send(bytes);
}

void TlsServer::close(StreamId stream) {
  if (TlsConnection* const connection = find(stream)) connection->close();
}

void TlsServer::describe(MetricSink& sink) const { stats_.describe(sink, name_); }

}  // namespace tocsin::io
