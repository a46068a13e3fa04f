#include "stages/ingress/mqtt/stats.hpp"

namespace tocsin::ingress {

std::string_view to_string(MqttClose reason) noexcept {
  constexpr std::array<std::string_view, mqtt_close_count> names{
      "client",         "end_of_stream",    "reset",           "malformed",
      "protocol_error", "packet_too_large", "connect_refused", "connect_timeout",
      "keep_alive",     "taken_over",       "receive_maximum", "not_authorized",
      "not_stored",     "memory",           "connections",     "shutdown"};
  return names[static_cast<std::size_t>(reason)];
}

std::string_view to_string(MqttDrop reason) noexcept {
  constexpr std::array<std::string_view, mqtt_drop_count> names{
      "slow", "too_large", "offline", "queue_full", "expired", "memory", "no_member"};
  return names[static_cast<std::size_t>(reason)];
}

void MqttStats::describe(MetricSink& sink) const {
  sink.counter("tocsin_mqtt_accepted_total", "Connections accepted.", {}, accepted.get());
  sink.counter("tocsin_mqtt_packets_received_total", "Control packets received.", {},
               packets.get());
  sink.counter("tocsin_mqtt_publishes_received_total", "PUBLISH packets received.", {},
               publishes.get());
  sink.counter("tocsin_mqtt_pubacks_sent_total", "PUBACK packets sent.", {}, pubacks.get());
  sink.counter("tocsin_mqtt_wills_lost_total", "Will messages that could not become events.", {},
               wills_lost.get());
  sink.counter("tocsin_mqtt_messages_delivered_total", "PUBLISH packets sent to subscribers.", {},
               delivered.get());
  sink.counter("tocsin_mqtt_store_refused_total",
               "Changes of sessions and retained messages that the store had no room for.", {},
               store_refused.get());
  sink.counter("tocsin_mqtt_subscriptions_lost_total",
               "Subscriptions of moved or restored sessions, and shared ones, that found no room.",
               {}, subscriptions_lost.get());
  sink.gauge("tocsin_mqtt_subscribers", "Sessions with at least one subscription.", {},
             static_cast<double>(subscribers_opened.get() - subscribers_closed.get()));
  sink.gauge("tocsin_mqtt_connections", "Connections that are open.", {},
             static_cast<double>(connections_opened.get() - connections_closed.get()));
  for (std::size_t i = 0; i < closed.size(); ++i) {
    sink.counter("tocsin_mqtt_closed_total", "Connections closed, by reason.",
                 {{"reason", to_string(static_cast<MqttClose>(i))}}, closed[i].get());
  }
  for (std::size_t i = 0; i < refused.size(); ++i) {
    sink.counter("tocsin_mqtt_publishes_refused_total", "Publishes refused, by reason.",
                 {{"reason", flow::to_string(static_cast<flow::Refusal>(i))}}, refused[i].get());
  }
  for (std::size_t i = 0; i < dropped.size(); ++i) {
    sink.counter("tocsin_mqtt_messages_dropped_total",
                 "Messages that did not reach a subscriber, by reason.",
                 {{"reason", to_string(static_cast<MqttDrop>(i))}}, dropped[i].get());
  }
}

}  // namespace tocsin::ingress
