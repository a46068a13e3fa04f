#include "stages/ingress/mqtt/options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/io.hpp"

namespace tocsin::ingress {

MqttOptions MqttOptions::from(const OptionValues& values) {
  const auto size = [&](std::string_view key) {
    return static_cast<std::size_t>(values.number(key));
  };
  MqttOptions options;
  options.listen = values.list("listen");
  options.listen_tls = values.list("listen_tls");
  options.allow_anonymous = values.flag("allow_anonymous");
  options.connections_max = static_cast<std::uint32_t>(values.number("connections_max"));
  options.connect_timeout = std::chrono::milliseconds(values.number("connect_timeout_ms"));
  options.keep_alive_max_s = static_cast<std::uint16_t>(values.number("keep_alive_max_s"));
  options.packet_size_max = size("packet_size_max");
  options.receive_maximum = static_cast<std::uint16_t>(values.number("receive_maximum"));
  options.output_bytes_max = size("output_bytes_max");
  options.carry_bytes_max = size("carry_bytes_max");
  options.subscriptions_max = static_cast<std::uint32_t>(values.number("subscriptions_max"));
  options.subscriptions_total_max =
      static_cast<std::uint32_t>(values.number("subscriptions_total_max"));
  options.topic_alias_max = static_cast<std::uint16_t>(values.number("topic_alias_max"));
  options.route_unmatched = values.text("unmatched_topics") == "route";
  options.close_denied = values.text("denied_publish") == "close";
  options.session_expiry_max_s = static_cast<std::uint32_t>(values.number("session_expiry_max_s"));
  options.sessions_max = size("sessions_max");
  options.session_messages_max = size("session_messages_max");
  options.session_bytes_max = size("session_bytes_max");
  options.retained_max = size("retained_max");
  options.retained_bytes_max = size("retained_bytes_max");
  options.notifications_bytes_max = size("notifications_bytes_max");
  return options;
}

std::string MqttOptions::check(std::size_t payload_max) const {
  std::vector<std::string> all = listen;
  all.insert(all.end(), listen_tls.begin(), listen_tls.end());
  for (const std::string& text : all) {
    const auto endpoint = io::parse_endpoint(text);
    if (!endpoint) return fmt::format("\"{}\" is not an IP address with a port", text);
    if (!endpoint->is_loopback() && !allow_anonymous) {
      return fmt::format(
          "\"{}\" is not a loopback address: that needs users, or allow_anonymous = true", text);
    }
  }
  if (packet_size_max > payload_max) {
    return fmt::format("packet_size_max = {} is more than a batch can hold ({} bytes)",
                       packet_size_max, payload_max);
  }
  return {};
}

MqttOptions MqttOptions::share(std::uint32_t reactors) const {
  MqttOptions part = *this;
  part.sessions_max = (sessions_max + reactors - 1) / reactors;
  part.connections_max = (connections_max + reactors - 1) / reactors;
  // One packet and one full output must always fit, or a lone client could not work.
  part.carry_bytes_max =
      std::max(carry_bytes_max / reactors, 2 * (packet_size_max + output_bytes_max));
  return part;
}

}  // namespace tocsin::ingress
