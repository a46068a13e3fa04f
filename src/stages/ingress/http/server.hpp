#pragma once
// The HTTP listener of one reactor (DESIGN: ingress).

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/access.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "flow/quota.hpp"
#include "io/gated_listener.hpp"
#include "io/io.hpp"
#include "protocol/http/gzip.hpp"
#include "protocol/http/serializer.hpp"
#include "stages/ingress/http/answers.hpp"
#include "stages/ingress/http/connection.hpp"
#include "stages/ingress/http/exchange.hpp"
#include "stages/ingress/http/guard.hpp"
#include "stages/ingress/http/head_plans.hpp"
#include "stages/ingress/http/metrics.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/http/router.hpp"

namespace tocsin::ingress {

/// Serves `POST /api/events` and `POST /api/events/batch`; everything else goes to the router. All
/// calls but describe() on the loop's thread. Destroy it only when drained() (or when the Io, and
/// with it every connection, is gone).
class HttpServer final : public flow::AckSink,
                         public flow::Receiver,
                         public flow::Ticker,
                         public MetricSource,
                         private flow::Timer,
                         private flow::Intake::ReadyListener {
 public:
  HttpServer(flow::Loop& loop, flow::Intake& intake, HttpOptions options, Log log,
             HttpRouter& router);
  ~HttpServer();

  /// Listens on every endpoint (see listen_endpoints()). `shared`: other reactors listen on the
  /// same ones. Fails with a sentence that names the address.
  [[nodiscard]] Result<void, std::string> start(std::span<const io::Endpoint> endpoints,
                                                bool shared);
  /// Where it listens: port 0 resolved. Give these to the start() of the other reactors.
  [[nodiscard]] std::vector<io::Endpoint> endpoints() const;
  /// Takes a connection that another listener accepted, TLS for example: all of it is driven
  /// through `via`, which outlives it. Null: close it at once. Pages of other sites cannot reach a
  /// TLS listener under a rebound name, as its certificate would not fit: only Origin is checked.
  [[nodiscard]] io::StreamHandler* accept(io::StreamControl& via, io::StreamId stream,
                                          const io::Endpoint& peer,
                                          std::string_view certificate_name) noexcept;
  /// `expected` says how many connections another layer has accepted for us and not handed over
  /// yet: they count, so that all of them together stay below connections_max. Null: none.
  void set_expected(std::function<std::uint32_t()> expected) { expected_ = std::move(expected); }
  /// How many connections there may be beside those there are.
  [[nodiscard]] std::uint32_t room() const noexcept {
    return options_.connections_max - open_count_;
  }
  /// Who may send events; null (the default): everybody. Outlives the server.
  void set_authenticator(flow::Authenticator* authenticator) noexcept {
    authenticator_ = authenticator;
  }
  /// Limits the connections of an address that plain listeners accept. Before start().
  void set_gate(io::AddressGate* gate) noexcept { gate_ = gate; }
  /// What events are charged to; null (the default): nothing. Outlives the server.
  void set_quotas(flow::Quotas* quotas) noexcept { quotas_ = quotas; }
  /// Stops accepting; connections close when what is in flight has been answered.
  void drain() noexcept;
  /// Closes what is left; on_closed calls follow.
  void close_all() noexcept;
  [[nodiscard]] bool drained() const noexcept { return open_count_ == 0 && authenticating_ == 0; }

  void on_ack(const flow::AckToken& token, bool stored) noexcept override;
  void on_message(const flow::Message& message) noexcept override;
  MonoTime on_tick(MonoTime now) noexcept override;
  void describe(MetricSink& sink) const override { metrics_.describe(sink); }
  [[nodiscard]] const HttpMetrics& metrics() const noexcept { return metrics_; }
  [[nodiscard]] const ByteBudget& budget() const noexcept { return budget_; }

 private:
  friend class HttpConnection;
  struct Listener final : io::AcceptHandler {
    explicit Listener(HttpServer& owner) noexcept : server(owner) {}
    io::StreamHandler* on_accept(io::StreamId stream, const io::Endpoint& peer) noexcept override {
      return server.admit(server.loop_.io(), stream,
                          {.endpoint = peer, .loopback = endpoint.is_loopback()});
    }
    void on_accept_error(io::Errno error) noexcept override { server.accept_failed(error); }
    HttpServer& server;
    io::ListenerId id;
    io::Endpoint endpoint;
  };

  [[nodiscard]] io::StreamHandler* admit(io::StreamControl& via, io::StreamId stream,
                                         const HttpConnection::Peer& peer) noexcept;
  void accept_failed(io::Errno error) noexcept;
  void on_timer(MonoTime) noexcept override {}  // It only ends the loop's wait; on_tick works.
  void on_ready() noexcept override;

  // --- for connections ---------------------------------------------------------------------------
  void want_flush(std::uint32_t slot) noexcept;
  void hold(std::uint32_t slot) noexcept;
  void closed(std::uint32_t slot) noexcept;
  /// Frees what is kept for the next requests. True when something may have been freed.
  bool reclaim() noexcept;
  /// The answer; or null, and it will come later.
  [[nodiscard]] std::unique_ptr<flow::AuthAnswer> authenticate(const flow::Credentials& credentials,
                                                               std::uint32_t slot,
                                                               std::uint32_t generation) noexcept;
  [[nodiscard]] std::string_view date() noexcept;
  [[nodiscard]] const http::PreparedHead& accepted_head() noexcept;

  flow::Loop& loop_;
  flow::Intake& intake_;
  HttpOptions options_;
  Log log_;
  HttpRouter& router_;
  flow::Authenticator* authenticator_ = nullptr;
  flow::Quotas* quotas_ = nullptr;
  std::function<std::uint32_t()> expected_;
  HttpMetrics metrics_;
  ByteBudget budget_;
  RequestGuard guard_;
  AnswerComposer composer_;
  HttpReply reply_;
  http::GzipDecoder gzip_;
  ByteBuffer expanded_;  // The body that gzip_ made last.
  Hash128 proof_seed_;
  http::KnownHeads heads_;
  HeadPlans plans_;
  ExchangePool exchanges_;
  http::DateCache date_;
  std::string_view date_text_;
  MonoTime date_read_at_ = MonoTime::min();
  http::PreparedHead accepted_;  // Of the answer to nearly every request.
  std::vector<std::unique_ptr<Listener>> listeners_;
  io::AddressGate* gate_ = nullptr;
  std::vector<std::unique_ptr<io::GatedListener>> gated_;  // Before the listeners, with a gate.
  std::vector<std::unique_ptr<HttpConnection>> connections_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> to_flush_;
  std::vector<std::uint32_t> flushing_;
  std::vector<std::uint32_t> held_;
  std::vector<std::uint32_t> resuming_;
  std::uint32_t open_count_ = 0;
  std::uint32_t authenticating_ = 0;  // Answers that will still come.
  bool draining_ = false;
};

}  // namespace tocsin::ingress
