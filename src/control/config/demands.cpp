// What follows from several sections together.

#include <algorithm>

#include "control/config/config.hpp"

namespace tocsin::config {
namespace {

// Who listens beyond loopback must have said who may come: by users, or that it is everybody.
bool access_is_decided(const EngineConfig& config) {
  return !config.users.empty() || config.auth.flag("allow_anonymous");
}

}  // namespace

ingress::HttpOptions http_options_of(const EngineConfig& config) {
  auto options = ingress::HttpOptions::from(config.http);
  options.allow_anonymous |= access_is_decided(config);
  return options;
}

ingress::MqttOptions mqtt_options_of(const EngineConfig& config) {
  auto options = ingress::MqttOptions::from(config.mqtt);
  options.allow_anonymous |= access_is_decided(config);
  return options;
}

bool has_tls_listeners(const EngineConfig& config) {
  return !config.http.list("listen_tls").empty() || !config.mqtt.list("listen_tls").empty();
}

flow::MemoryDemands memory_demands(const EngineConfig& config) {
  const bool hashes = std::ranges::any_of(
      config.users, [](const auth::UserConfig& user) { return !user.password_hash.empty(); });
  return {.hash_bytes = hashes ? flow::addressable(config.auth.number("hash_memory_max")) : 0,
          .tls = has_tls_listeners(config)};
}

}  // namespace tocsin::config
