#pragma once
// The server side of TLS between an Io and a protocol: accepts, shakes hands, and then drives the
// protocol's handlers as the Io would. Not a thread of its own, no lock, and no buffer but those of
// mbedTLS, whose number is bounded.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "base/byte_buffer.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "io/address_gate.hpp"
#include "io/io.hpp"
#include "io/tls/tls_server_context.hpp"
#include "io/tls/tls_stats.hpp"

namespace tocsin::io {

class TlsConnection;

struct TlsServerLimits {
  std::uint32_t connections_max = 1024;  ///< Those that wait for their handshake included.
  std::uint32_t handshakes_max = 64;     ///< Under way.
  Duration handshake_timeout = std::chrono::seconds(10);
};

/// One per reactor and protocol, on its thread; describe() on any. tick() wants to be called once a
/// turn. Destroy it when closed(), or when its Io can deliver no more completions.
class TlsServer final : public AcceptHandler, public StreamControl, public MetricSource {
 public:
  /// Takes a connection whose handshake is done, as a listener's on_accept would;
  /// `certificate_name` is the common name of the client's verified certificate, or empty. Data may
  /// arrive as soon as it has returned a handler; null closes the connection. The StreamId is for
  /// the StreamControl alone.
  using Accept =
      std::function<StreamHandler*(StreamControl& control, StreamId stream, const Endpoint& peer,
                                   std::string_view certificate_name)>;

  /// `name` is that of the protocol, for metrics. `memory` is charged for each connection from the
  /// beginning of its handshake, and for a client's certificates; all references outlive the
  /// server. `gate` may be null.
  TlsServer(Io& io, std::string name, const TlsServerLimits& limits, ByteBudget& memory,
            AddressGate* gate, Log log, std::shared_ptr<const TlsServerContext> context,
            Accept accept);
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer();

  /// Listens and returns the endpoint with its real port. The error is a sentence for people.
  [[nodiscard]] Result<Endpoint, std::string> listen(const Endpoint& endpoint, bool shared);
  /// `room` says how many connections the protocol can have beside those it has: no more than that
  /// many are accepted whose handshake is not done. Before listening; outlives the server.
  void set_room(std::function<std::uint32_t()> room) { room_ = std::move(room); }
  /// Connections that were accepted and that the protocol does not have.
  [[nodiscard]] std::uint32_t unfinished() const noexcept { return open_ - taken_; }
  /// For handshakes that begin from now on.
  void set_context(std::shared_ptr<const TlsServerContext> context);
  /// Stops accepting and ends handshakes; open connections are the protocol's to close.
  void drain() noexcept;
  [[nodiscard]] bool closed() const noexcept { return open_ == 0; }
  /// Begins handshakes and ends what took too long. Returns when it wants to be called again at the
  /// latest.
  MonoTime tick(MonoTime now) noexcept;
  [[nodiscard]] const TlsStats& stats() const noexcept { return stats_; }

  void describe(MetricSink& sink) const override;

  // --- AcceptHandler, StreamControl --------------------------------------------------------------
  StreamHandler* on_accept(StreamId stream, const Endpoint& peer) noexcept override;
  void on_accept_error(Errno error) noexcept override;
  void receive_start(StreamId stream) override;
  void receive_stop(StreamId stream) override;
  void send(StreamId stream, std::span<const std::byte> bytes) override;
  void close(StreamId stream) override;

 private:
  friend class TlsConnection;
  struct Deadline {
    StreamId stream;
    MonoTime due;
  };

  [[nodiscard]] TlsConnection* find(StreamId stream) noexcept;
  // --- for connections ---------------------------------------------------------------------------
  void handshake_ended() noexcept { --handshakes_; }
  void refused(TlsRefusal reason) noexcept {
    stats_.refused[static_cast<std::size_t>(reason)].add();
  }
  void linger(StreamId stream);
  void recycle(TlsConnection& connection) noexcept;

  void start_waiting(MonoTime now);
  void compact();

  Io& io_;
  const std::string name_;
  const TlsServerLimits limits_;
  ByteBudget& memory_;
  AddressGate* gate_;
  Log log_;
  std::shared_ptr<const TlsServerContext> context_;
  const Accept accept_;
  std::function<std::uint32_t()> room_;
  TlsStats stats_;
  std::vector<ListenerId> listeners_;
  std::vector<std::unique_ptr<TlsConnection>> connections_;  // By slot; grows, never shrinks.
  std::vector<std::uint32_t> free_slots_;
  std::deque<Deadline> waiting_;      // For their handshake to begin.
  std::deque<Deadline> handshaking_;  // By due time, because all have the same timeout.
  std::deque<Deadline> lingering_;
  std::uint32_t handshakes_ = 0;  // Under way.
  std::uint32_t open_ = 0;
  std::uint32_t taken_ = 0;  // Of these, by the protocol.
  bool draining_ = false;
  // One for all: a handler takes all bytes before it returns.
  std::vector<std::byte> plaintext_;
};

}  // namespace tocsin::io
