#pragma once
// The MQTT listener of one reactor: accepts connections, owns their slots, and connects them with
// the intake (events in, acknowledgements out) and the hub (notifications out).

#include <atomic>
#include <cstdint>
#include <functional>
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
#include "stages/ingress/mqtt/router.hpp"
#include "stages/ingress/mqtt/sessions.hpp"
#include "stages/ingress/mqtt/stats.hpp"

namespace tocsin::ingress {

class MqttConnection;

/// AckToken::detail of a QoS 2 publish: it outlives its connection, so the session is named.
[[nodiscard]] constexpr std::uint64_t qos_2_detail(std::uint64_t session,
                                                   std::uint16_t packet_id) noexcept {
  return session << 17U | std::uint64_t{1} << 16U | packet_id;
}

/// One per reactor, on its thread; only what says so is for any thread. Registers itself as ticker
/// and ready listener. Destroy it when closed() holds, or after its Io can deliver no more
/// completions.
class MqttServer final : public io::AcceptHandler,
                         public flow::AckSink,
                         public flow::Intake::ReadyListener,
                         public flow::RefusalSink,
                         public flow::Ticker,
                         public flow::Receiver,
                         public MetricSource {
 public:
  /// Kind of the message by which a committed batch comes, with a holder and a place in its
  /// settlement range.
  static constexpr std::uint32_t message_batch = 100;

  /// `hub` may be null: then there are no notifications. All but `options` must outlive the server.
  MqttServer(flow::Loop& loop, flow::Intake& intake, const MqttOptions& options, Log log,
             BrokerShared& shared, MqttHub* hub);
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
  /// Ends the connections of users who have gone or were deactivated.
  void end_revoked() noexcept;
  [[nodiscard]] bool closed() const noexcept {
    return open_ == 0 && !sessions_.wills_waiting() && sessions_.settled();
  }
  [[nodiscard]] std::uint32_t connections() const noexcept { return open_; }

  /// A client whose connection another layer (TLS) has accepted: `control` drives it. Returns its
  /// handler, or null when it is turned away; then the caller closes it. Receiving starts before
  /// this returns.
  io::StreamHandler* accept(io::StreamControl& control, io::StreamId stream,
                            const io::Endpoint& peer, std::string_view certificate_name) noexcept;

  /// `expected` says how many connections another layer has accepted for us and not handed over
  /// yet: they count, so that all of them together stay below connections_max. Null: none.
  void set_expected(std::function<std::uint32_t()> expected) { expected_ = std::move(expected); }
  /// How many connections there may be beside those there are.
  [[nodiscard]] std::uint32_t room() const noexcept { return options_.connections_max - open_; }

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
    return router_.wanted().load(std::memory_order_relaxed) > 0;
  }
  /// Messages of Sessions and Groups; owned by the receiver.
  void post_transfer(void* transfer) noexcept;
  void post_group_news(void* news) noexcept;
  /// The caller has counted this server among the message's holders.
  void post_notification(HubMessage& message) noexcept;
  void describe(MetricSink& sink) const override;

  // --- for the loop, the Io and the intake
  // --------------------------------------------------------
  io::StreamHandler* on_accept(io::StreamId stream, const io::Endpoint& peer) noexcept override;
  void on_accept_error(io::Errno error) noexcept override;
  void on_ack(const flow::AckToken& token, bool stored) noexcept override;
  void on_refused(const flow::AckToken& token, const flow::Rejection& rejection) noexcept override;
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
  [[nodiscard]] BrokerShared& shared() noexcept { return shared_; }
  [[nodiscard]] Router& router() noexcept { return router_; }
  [[nodiscard]] Sessions& sessions() noexcept { return sessions_; }
  [[nodiscard]] MqttConnection* find(std::uint32_t slot, std::uint32_t generation) noexcept;
  /// Wall time minus monotonic time.
  [[nodiscard]] Duration wall_offset() noexcept;
  /// What no client may publish to: notifications, and topics of the server's own.
  [[nodiscard]] static bool reserved_topic(std::string_view topic) noexcept;
  [[nodiscard]] static std::uint64_t ticket(std::uint32_t slot, std::uint32_t generation) noexcept {
    return std::uint64_t{slot} << 32U | generation;
  }
  [[nodiscard]] flow::Authenticator::ReplyTo auth_reply() noexcept;
  /// False: the intake has no capacity; then Sessions is asked again.
  [[nodiscard]] bool publish_will(Will& will) noexcept;
  /// Its input goes on at `due`.
  void pause(std::uint32_t slot, MonoTime due);
  [[nodiscard]] flow::Authenticator* authenticator() noexcept { return authenticator_; }
  [[nodiscard]] flow::Quotas* quotas() noexcept { return quotas_; }
  [[nodiscard]] flow::SessionStore* session_store() noexcept { return store_; }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  /// Its output is flushed at the end of this turn, all of it with one send.
  void flush_later(std::uint32_t slot) noexcept;
  /// It goes on with its input at the end of this turn; not inside the callback that allowed it.
  void resume_later(std::uint32_t slot) noexcept;
  /// There is a turn soon.
  void wake() noexcept;
  /// The intake had no capacity: told again after on_ready().
  void wait_for_capacity(std::uint32_t slot) noexcept;
  /// The budget had no room for a message that waits in its session, and nothing of the connection
  /// is on its way that would bring it back to it: told again when less of the budget is used.
  void wait_for_memory(std::uint32_t slot) {
    starved_.push_back({.slot = slot, .used = budget_.used()});
  }
  /// Whole packets that a connection keeps while we cannot take them went from `before` to `after`
  /// bytes. When all of them together take a good part of the budget, nobody's receiving is armed
  /// until most of it is worked off: the sockets' windows are the back-pressure, and no connection
  /// is closed for want of memory. A partial packet is not counted: only more input ends it.
  void carried(std::size_t before, std::size_t after) noexcept;
  [[nodiscard]] bool holding() const noexcept { return holding_; }
  /// Input kept of clients that nobody knows yet: a small part of the budget, so that they cannot
  /// take the memory of those who are known.
  void carried_early(std::size_t before, std::size_t after) noexcept {
    carried_early_ = carried_early_ - before + after;
  }
  [[nodiscard]] bool has_early_room(std::size_t before, std::size_t after) const noexcept;
  void recycle(std::uint32_t slot) noexcept;

 private:
  struct Pause {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    MonoTime due{};
  };
  struct Starved {
    std::uint32_t slot = 0;
    std::size_t used = 0;  // Of the budget, when there was no room.
  };
  MonoTime end_pauses(MonoTime now) noexcept;
  bool feed_starved() noexcept;
  MonoTime trim(MonoTime now) noexcept;
  void end_holding() noexcept;
  void notify(const HubMessage& message) noexcept;

  flow::Loop& loop_;
  flow::Intake& intake_;
  const MqttOptions options_;
  Log log_;
  BrokerShared& shared_;
  MqttHub* hub_;
  flow::Authenticator* authenticator_ = nullptr;
  flow::Quotas* quotas_ = nullptr;
  std::function<std::uint32_t()> expected_;
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
  std::uint32_t open_ = 0;
  bool draining_ = false;
  bool woken_ = false;
  std::size_t carried_ = 0;
  std::size_t carried_early_ = 0;
  bool holding_ = false;
  bool wills_ready_ = false;
  std::vector<Pause> pauses_;
  std::vector<Starved> starved_;
  MonoTime next_trim_ = MonoTime::max();
  Router router_;
  Sessions sessions_;
};

}  // namespace tocsin::ingress
