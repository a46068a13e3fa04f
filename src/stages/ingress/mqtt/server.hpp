#pragma once
// The MQTT listener of one reactor: accepts connections, owns their slots, and connects them with
// the intake (events in, acknowledgements out) and the hub (notifications out).

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "base/byte_buffer.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/access.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "flow/quota.hpp"
#include "flow/session_store.hpp"
#include "io/gated_listener.hpp"
#include "io/io.hpp"
#include "stages/ingress/mqtt/directory.hpp"
#include "stages/ingress/mqtt/hub.hpp"
#include "stages/ingress/mqtt/options.hpp"
#include "stages/ingress/mqtt/stats.hpp"

namespace tocsin::ingress {

class MqttConnection;

/// One per reactor, on its thread; only post_notification(), has_subscribers() and describe() are
/// for any thread. Registers itself as ticker and ready listener. Destroy it when closed() holds,
/// or after its Io can deliver no more completions.
class MqttServer final : public io::AcceptHandler,
                         public flow::AckSink,
                         public flow::Intake::ReadyListener,
                         public flow::Ticker,
                         public flow::Receiver,
                         public MetricSource {
 public:
  /// `hub` may be null: then subscriptions are granted but stay silent. All but `options` must
  /// outlive the server.
  MqttServer(flow::Loop& loop, flow::Intake& intake, const MqttOptions& options, Log log,
             SessionDirectory& directory, MqttHub* hub);
  MqttServer(const MqttServer&) = delete;
  MqttServer& operator=(const MqttServer&) = delete;
  ~MqttServer();

  /// Listens on one endpoint and returns it with its real port. `shared`: other reactors listen on
  /// it too. The error is a sentence for people.
  Result<io::Endpoint, std::string> listen(const io::Endpoint& endpoint, bool shared);

  /// Stops accepting; every client gets the acknowledgements it waits for, then (5.0) DISCONNECT
  /// 0x8B, then its connection closes. Wills are not published (MQTT 5.0 section 3.1.2.5).
  void drain() noexcept;
  /// Closes what drain() has left, without waiting.
  void close_now() noexcept;
  [[nodiscard]] bool closed() const noexcept { return open_ == 0; }
  [[nodiscard]] std::uint32_t connections() const noexcept { return open_; }

  /// A client whose connection another layer (TLS) has accepted: `control` drives it. Returns its
  /// handler, or null when it is turned away; then the caller closes it. Receiving starts before
  /// this returns.
  io::StreamHandler* accept(io::StreamControl& control, io::StreamId stream,
                            const io::Endpoint& peer, std::string_view certificate_name) noexcept;

  /// What guards and keeps; each may stay null. Before listening; all outlive the server.
  void set_authenticator(flow::Authenticator* authenticator) noexcept {
    authenticator_ = authenticator;
  }
  /// Limits the connections of an address that plain listeners accept.
  void set_gate(io::AddressGate* gate) {
    gated_ = gate != nullptr ? std::make_unique<io::GatedListener>(*this, *gate) : nullptr;
  }
  void set_quotas(flow::Quotas* quotas) noexcept { quotas_ = quotas; }
  void set_session_store(flow::SessionStore* store) noexcept { store_ = store; }

  // --- any thread -------------------------------------------------------------------------------
  [[nodiscard]] bool has_subscribers() const noexcept {
    return subscribers_.load(std::memory_order_relaxed) > 0;
  }
  /// The caller has counted this server among the message's holders.
  void post_notification(HubMessage& message) noexcept;
  void describe(MetricSink& sink) const override;

  // --- for the loop, the Io and the intake
  // --------------------------------------------------------
  io::StreamHandler* on_accept(io::StreamId stream, const io::Endpoint& peer) noexcept override;
  void on_accept_error(io::Errno error) noexcept override;
  void on_ack(const flow::AckToken& token, bool stored) noexcept override;
  void on_ready() noexcept override;
  MonoTime on_tick(MonoTime now) noexcept override;
  void on_message(const flow::Message& message) noexcept override;

  // --- for its connections
  // ------------------------------------------------------------------------
  [[nodiscard]] flow::Loop& loop() noexcept { return loop_; }
  [[nodiscard]] flow::Intake& intake() noexcept { return intake_; }
  [[nodiscard]] const MqttOptions& options() const noexcept { return options_; }
  [[nodiscard]] MqttStats& stats() noexcept { return stats_; }
  [[nodiscard]] ByteBudget& budget() noexcept { return budget_; }
  [[nodiscard]] SessionDirectory& directory() noexcept { return directory_; }
  [[nodiscard]] flow::Authenticator* authenticator() noexcept { return authenticator_; }
  [[nodiscard]] flow::Quotas* quotas() noexcept { return quotas_; }
  [[nodiscard]] flow::SessionStore* session_store() noexcept { return store_; }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  /// Its output is flushed at the end of this turn, all of it with one send.
  void flush_later(std::uint32_t slot) noexcept;
  /// It goes on with its input at the end of this turn; not inside the callback that allowed it.
  void resume_later(std::uint32_t slot) noexcept;
  /// The intake had no capacity: told again after on_ready().
  void wait_for_capacity(std::uint32_t slot) noexcept;
  /// Another connection has taken over a session of this or another server.
  void take_over(const SessionDirectory::Owner& previous) noexcept;
  /// A connection's kept input went from `before` to `after` bytes. When all of it together takes a
  /// good part of the budget, nobody's receiving is armed until most of it is worked off: the
  /// sockets' windows are the back-pressure, and no connection is closed for want of memory.
  void carried(std::size_t before, std::size_t after) noexcept;
  [[nodiscard]] bool holding() const noexcept { return holding_; }
  void hold(std::uint32_t slot) { held_.push_back(slot); }
  void recycle(std::uint32_t slot) noexcept;
  /// It has its first subscription, or lost its last one.
  void subscriber_added(std::uint32_t slot) noexcept;
  void subscriber_removed(std::uint32_t slot) noexcept;

 private:
  [[nodiscard]] MqttConnection* find(std::uint32_t slot, std::uint32_t generation) noexcept;
  void wake() noexcept;
  void end_holding() noexcept;
  void notify(HubMessage& message) noexcept;

  flow::Loop& loop_;
  flow::Intake& intake_;
  const MqttOptions options_;
  Log log_;
  SessionDirectory& directory_;
  MqttHub* hub_;
  flow::Authenticator* authenticator_ = nullptr;
  flow::Quotas* quotas_ = nullptr;
  flow::SessionStore* store_ = nullptr;
  ByteBudget budget_;
  MqttStats stats_;
  std::vector<io::ListenerId> listeners_;
  std::unique_ptr<io::GatedListener> gated_;
  std::vector<std::unique_ptr<MqttConnection>> connections_;  // By slot; grows, never shrinks.
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint32_t> resuming_;
  std::vector<std::uint32_t> waiting_;  // For capacity.
  std::vector<std::uint32_t> scratch_;
  std::vector<std::uint32_t> subscriber_slots_;
  std::atomic<std::uint32_t> subscribers_{0};  // Size of the list, for other threads.
  std::uint32_t open_ = 0;
  bool draining_ = false;
  bool woken_ = false;
  std::vector<std::uint32_t> held_;
  std::size_t carried_ = 0;
  bool holding_ = false;
};

}  // namespace tocsin::ingress
