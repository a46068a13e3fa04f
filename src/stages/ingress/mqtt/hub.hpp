#pragma once
// Brings a notification to the subscribers of every reactor.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.hpp"
#include "base/shared_bytes.hpp"
#include "base/shared_queue.hpp"
#include "flow/hub.hpp"

namespace tocsin::ingress {

class MqttServer;

/// One notification, copied once and shared by the reactors until each has handed it to its
/// subscribers; a slow subscriber holds its own copy, never this one.
struct HubMessage {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  std::atomic<std::uint32_t> holders{0};
};

/// Shared by all servers and outlives them. Servers are added before their threads run.
class MqttHub final : public flow::SubscriberHub, public MetricSource {
 public:
  explicit MqttHub(std::size_t bytes_max, std::size_t messages_max = 4096);
  void add(MqttServer& server) { servers_.push_back(&server); }

  /// Any thread. True also when nobody subscribes: then there is nothing to do. False when the
  /// topic is not below the notification prefix, is invalid or too long, or a bound is reached.
  bool publish(std::string_view topic, std::string_view payload,
               std::uint8_t qos) noexcept override;
  /// A server is done with the message.
  void release(HubMessage* message) noexcept;

  [[nodiscard]] std::size_t bytes_used() const noexcept { return bytes_.used(); }
  void describe(MetricSink& sink) const override;

 private:
  void give_back(HubMessage* message) noexcept;

  SharedBytes bytes_;
  SharedCounter published_;
  SharedCounter refused_;
  std::vector<MqttServer*> servers_;
  std::vector<std::unique_ptr<HubMessage>> all_;
  SharedQueue<HubMessage*> free_;
};

}  // namespace tocsin::ingress
