#include "control/config/config.hpp"

namespace tocsin::config {

std::string_view embedded_defaults() noexcept {
  return R"(# What Tocsin runs with when no --config is given.

[http]
listen = "127.0.0.1:8080"

[mqtt]
listen = "127.0.0.1:1883"

[[channel]]
name = "console"
type = "log"

[[source]]
name = "telemetry"
topic = "devices/{device}/telemetry"
description = "JSON that a device publishes on devices/<its name>/telemetry"

[[source]]
name = "order_created"
description = "POST /api/events with {\"event\":\"order_created\",\"payload\":{...}}"

[[rule]]
name = "too-hot"
source = "telemetry"
pattern = { temperature = [{ numeric = [">", 80] }] }
channel = "console"
severity = "warning"
subject = "{{device}} is too hot"
body = "{{device}} reports {{temperature}} degrees"

[[rule]]
name = "order-confirmed"
source = "order_created"
channel = "console"
subject = "Order #{{order_id}} Confirmed"
body = "Order #{{order_id}} for ${{total}} is confirmed, {{customer_email}}"
)";
}

}  // namespace tocsin::config
