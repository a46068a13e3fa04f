#include "stages/ingress/mqtt/hub.hpp"

#include <algorithm>

#include <tocsin/limits.hpp>

#include "flow/sources.hpp"
#include "protocol/mqtt/utf8.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::ingress {
namespace {
// A recycled message keeps its strings up to here, so that the usual ones cost no allocation.
constexpr std::size_t kept_capacity_max = 2048;
}  // namespace

MqttHub::MqttHub(std::size_t bytes_max, std::size_t messages_max)
    : bytes_(bytes_max), free_(messages_max) {
  all_.reserve(messages_max);
  for (std::size_t i = 0; i < messages_max; ++i) {
    all_.push_back(std::make_unique<HubMessage>());
    free_.enqueue(all_.back().get());
  }
}

bool MqttHub::publish(std::string_view topic, std::string_view payload, std::uint8_t qos) noexcept {
  if (!topic.starts_with(flow::notification_topic_prefix) || topic.size() > name_size_max ||
      !flow::topic_name_valid(topic) || !mqtt::string_valid(topic)) {
    refused_.add();
    return false;
  }
  const bool wanted = std::any_of(servers_.begin(), servers_.end(), [](const MqttServer* server) {
    return server->has_subscribers();
  });
  if (!wanted) return true;
  const std::size_t size = topic.size() + payload.size();
  HubMessage* message = nullptr;
  const bool charged = bytes_.charge(size);
  if (!charged || !free_.try_dequeue(message)) {
    if (charged) bytes_.refund(size);
    refused_.add();
    return false;
  }
  message->topic.assign(topic);
  message->payload.assign(payload);
  message->qos = std::min<std::uint8_t>(qos, 2);
  // Our own hold keeps the message alive while it is being posted.
  message->holders.store(1, std::memory_order_relaxed);
  for (MqttServer* server : servers_) {
    if (!server->has_subscribers()) continue;
    message->holders.fetch_add(1, std::memory_order_relaxed);
    server->post_notification(*message);
  }
  release(message);
  published_.add();
  return true;
}

void MqttHub::release(HubMessage* message) noexcept {
  // acq_rel: the last holder recycles the strings that the others have read.
  if (message->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) give_back(message);
}

void MqttHub::give_back(HubMessage* message) noexcept {
  bytes_.refund(message->topic.size() + message->payload.size());
  if (message->payload.capacity() > kept_capacity_max) std::string().swap(message->payload);
  message->payload.clear();
  message->topic.clear();
  free_.enqueue(message);
}

void MqttHub::describe(MetricSink& sink) const {
  sink.counter("tocsin_mqtt_hub_published_total", "Notifications handed to MQTT subscribers.", {},
               published_.get());
  sink.counter("tocsin_mqtt_hub_refused_total",
               "Notifications refused: invalid topic or a bound reached.", {}, refused_.get());
  sink.gauge("tocsin_mqtt_hub_bytes", "Bytes of notifications on their way to reactors.", {},
             static_cast<double>(bytes_used()));
}

}  // namespace tocsin::ingress
