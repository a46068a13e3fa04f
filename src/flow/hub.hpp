#pragma once
// How a notification reaches devices that subscribed on our own MQTT listener.

#include <cstdint>
#include <string_view>

namespace tocsin::flow {

/// Topics below this prefix carry notifications only. Devices may subscribe to them, never publish
/// to them, and what is published there never becomes an event: so there is no loop.
inline constexpr std::string_view notification_topic_prefix = "notifications/";

class SubscriberHub {
 public:
  /// Publishes to every subscriber, on all reactors. Copies what it needs before it returns. Any
  /// reactor thread. False when a bound was reached and nothing was published.
  virtual bool publish(std::string_view topic, std::string_view payload,
                       std::uint8_t qos) noexcept = 0;

 protected:
  ~SubscriberHub() = default;
};

}  // namespace tocsin::flow
