#pragma once
// A subscription to an existing broker at level `accepted`: Paho acknowledges when its callback
// returns, so an event is as safe as our memory. A subscription at level `stored` needs our own
// codec's client side.

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/broker_client.hpp"
#include "flow/catalogue.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "stages/ingress/subscription/message_queue.hpp"

namespace tocsin::ingress {

/// Checks what the option table cannot say; a message, or empty.
[[nodiscard]] std::string check_subscription(const flow::SubscriptionConfig& config);

/// The topic filter without "$share/group/".
[[nodiscard]] std::string_view plain_filter(std::string_view filter) noexcept;

/// Sentences about mqtt channels whose messages would come back through a subscription on the same
/// broker. Empty: no loop. Topics below "notifications/" cannot loop: they are ignored on arrival.
[[nodiscard]] std::vector<std::string> egress_loops(
    const std::vector<flow::ChannelConfig>& channels,
    const std::vector<flow::SubscriptionConfig>& subscriptions);

class BrokerSubscription final : public flow::Receiver,
                                 public flow::BrokerListener,
                                 public flow::BrokerMessageHandler,
                                 public flow::Intake::ReadyListener,
                                 public MetricSource {
 public:
  /// `config` has passed check_subscription(). Connecting begins on a later turn and never stops
  /// anything: while the broker is away it is tried again with back-off. On the loop's thread, that
  /// of `intake`. Intake keeps its listeners for ever, so the subscription must outlive its last
  /// on_ready.
  BrokerSubscription(flow::Loop& loop, Log log, flow::Intake& intake,
                     const flow::SubscriptionConfig& config);
  /// Normally when closed().
  ~BrokerSubscription() { queue_.close(); }

  /// Takes nothing more from the broker and disconnects. What is queued is still decoded.
  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept;

  void on_message(const flow::Message& message) noexcept override;
  void on_broker_message(const flow::BrokerMessage& message) noexcept override;
  void on_broker_state(bool connected) noexcept override;
  void on_subscribe_failed() noexcept override { subscribe_failures_.add(); }
  void on_ready() noexcept override { take_queued(); }
  void describe(MetricSink& sink) const override;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Connected, and the broker has accepted every topic filter. Any thread.
  [[nodiscard]] bool subscribed() const noexcept { return up_.load(std::memory_order_relaxed); }
  [[nodiscard]] const MessageQueue& queue() const noexcept { return queue_; }
  [[nodiscard]] std::uint64_t accepted() const noexcept { return accepted_.get(); }
  [[nodiscard]] std::uint64_t ignored() const noexcept { return ignored_.get(); }
  [[nodiscard]] std::uint64_t refused(flow::Refusal reason) const noexcept {
    return refused_[static_cast<std::size_t>(reason)].get();
  }

 private:
  void take_queued() noexcept;

  flow::Loop& loop_;
  Log log_;
  flow::Intake& intake_;
  std::string name_;
  MessageQueue queue_;
  bool closing_ = false;
  bool more_posted_ = false;
  std::atomic<std::uint64_t> posted_{0};  // As in BrokerClient: equal when none is on its way.
  std::uint64_t arrived_ = 0;
  Counter received_;
  Counter accepted_;
  SharedCounter ignored_;
  std::array<Counter, flow::refusal_count> refused_;
  Counter disconnects_;
  Counter subscribe_failures_;
  std::atomic<bool> up_{false};
  flow::BrokerClient client_;
};

}  // namespace tocsin::ingress
