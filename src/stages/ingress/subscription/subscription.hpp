#pragma once
// A subscription to an existing broker. What it acknowledges to the broker has reached the level of
// its source: with `stored`, the default, it is on our disk. The broker keeps a session for us, so
// that nothing is lost while we are away; what it sends twice becomes two events.

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "base/byte_buffer.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/backoff.hpp"
#include "flow/catalogue.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "flow/topic_trie.hpp"
#include "stages/ingress/subscription/link.hpp"
#include "stages/ingress/subscription/session.hpp"

namespace tocsin::ingress {

class BrokerSubscription final : public flow::AckSink,
                                 public flow::Ticker,
                                 public flow::Intake::ReadyListener,
                                 public BrokerLink::Owner,
                                 public SubscriberSession::Handler,
                                 public MetricSource {
 public:
  /// Fails with a sentence when the TLS files cannot be used. `config` has passed
  /// check_subscription(). `resolver` may be null: then only addresses work. Connecting begins on a
  /// later turn and never stops anything: while the broker is away it is tried again with back-off.
  /// On the loop's thread, that of `intake`. Intake keeps its listeners for ever, so the
  /// subscription must outlive its last on_ready.
  [[nodiscard]] static Result<std::unique_ptr<BrokerSubscription>, std::string> make(
      flow::Loop& loop, Log log, flow::Intake& intake, io::Resolver* resolver,
      const flow::SubscriptionConfig& config);
  /// Normally when closed().
  ~BrokerSubscription();
  BrokerSubscription(const BrokerSubscription&) = delete;
  BrokerSubscription& operator=(const BrokerSubscription&) = delete;

  /// Takes nothing more from the broker, acknowledges what reaches its level in time, and leaves.
  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept;

  void on_ack(const flow::AckToken& token, bool stored) noexcept override;
  MonoTime on_tick(MonoTime now) noexcept override;
  void on_ready() noexcept override;
  void on_link_up() noexcept override;
  void on_link_data(std::string_view bytes) noexcept override;
  void on_link_sent() noexcept override { flush(); }
  void on_link_down(std::string_view why) noexcept override;
  SubscriberSession::Taken on_publish(const mqtt::Publish& message,
                                      AckWindow::Number number) noexcept override;
  void on_skipped(std::size_t size) noexcept override;
  void on_subscribed(std::uint8_t granted_qos) noexcept override;
  void describe(MetricSink& sink) const override;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Connected, and the broker has accepted every topic filter. Any thread.
  [[nodiscard]] bool subscribed() const noexcept { return up_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_.get(); }
  [[nodiscard]] std::uint64_t ignored() const noexcept { return ignored_.get(); }
  [[nodiscard]] std::uint64_t refused(flow::Refusal reason) const noexcept {
    return refused_[static_cast<std::size_t>(reason)].get();
  }

 private:
  enum class State : std::uint8_t { waiting, connecting, up, leaving, closed };
  class CallTimer final : public flow::Timer {
   public:
    using Call = void (BrokerSubscription::*)(MonoTime);
    CallTimer(BrokerSubscription& owner, Call call) noexcept : owner_(owner), call_(call) {}
    void on_timer(MonoTime now) noexcept override { (owner_.*call_)(now); }

   private:
    BrokerSubscription& owner_;
    Call call_;
  };

  BrokerSubscription(flow::Loop& loop, Log log, flow::Intake& intake, io::Resolver* resolver,
                     const flow::SubscriptionConfig& config,
                     std::unique_ptr<io::TlsClientContext> tls);

  void on_state_timer(MonoTime now);
  void on_ping_timer(MonoTime now);
  void on_hold_timer(MonoTime now);
  void take_input() noexcept;
  void end_connection() noexcept;
  void flush() noexcept;
  void leave_when_done() noexcept;
  [[nodiscard]] bool wanted(const mqtt::Publish& message) noexcept;

  flow::Loop& loop_;
  Log log_;
  flow::Intake& intake_;
  std::string name_;
  std::string uri_;  // For log lines.
  std::uint8_t qos_;
  std::unique_ptr<io::TlsClientContext> tls_;
  flow::Backoff backoff_;
  flow::TopicTrie filters_;
  SubscriberSession session_;
  BrokerLink link_;
  CallTimer state_timer_{*this, &BrokerSubscription::on_state_timer};
  CallTimer ping_timer_{*this, &BrokerSubscription::on_ping_timer};
  CallTimer hold_timer_{*this, &BrokerSubscription::on_hold_timer};
  State state_ = State::waiting;
  bool closing_ = false;
  bool told_down_ = false;
  bool told_refused_ = false;
  bool told_skipped_ = false;
  bool paused_ = false;           // Receiving is stopped.
  bool heard_ = false;            // Since the last ping_timer_.
  bool said_ = false;             // The same for what we sent.
  bool asked_ = false;            // The last ping_timer_ has sent a ping.
  ByteBuffer input_;              // The beginning of a packet, or what waits for room.
  std::uint32_t connection_ = 0;  // Counts connections: late acknowledgements belong to older ones.
  std::size_t outstanding_ = 0;   // Tokens that have not come back, of all connections.
  Counter received_;
  Counter accepted_;
  Counter ignored_;
  Counter unwanted_;
  Counter acknowledged_;
  std::array<Counter, flow::refusal_count> refused_;
  Counter disconnects_;
  Counter subscribe_failures_;
  std::atomic<std::size_t> unacknowledged_{0};
  std::atomic<bool> up_{false};
};

}  // namespace tocsin::ingress
