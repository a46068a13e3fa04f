#include "flow/outcome.hpp"

namespace tocsin {

std::string_view to_string(DeliveryError error) noexcept {
  switch (error) {
    case DeliveryError::none:
      return "none";
    case DeliveryError::dns:
      return "dns";
    case DeliveryError::refused_address:
      return "refused_address";
    case DeliveryError::connect:
      return "connect";
    case DeliveryError::tls:
      return "tls";
    case DeliveryError::timeout:
      return "timeout";
    case DeliveryError::reset:
      return "reset";
    case DeliveryError::protocol:
      return "protocol";
    case DeliveryError::status_client:
      return "status_client";
    case DeliveryError::status_server:
      return "status_server";
    case DeliveryError::throttled:
      return "throttled";
    case DeliveryError::auth:
      return "auth";
    case DeliveryError::too_large:
      return "too_large";
    case DeliveryError::overflow:
      return "overflow";
    case DeliveryError::exhausted:
      return "exhausted";
    case DeliveryError::shutdown:
      return "shutdown";
  }
  return "unknown";
}

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::delivered:
      return "delivered";
    case Verdict::transient:
      return "transient";
    case Verdict::throttled:
      return "throttled";
    case Verdict::permanent:
      return "permanent";
    case Verdict::auth:
      return "auth";
  }
  return "unknown";
}

}  // namespace tocsin

namespace tocsin::flow {

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::sent:
      return "sent";
    case Outcome::dead:
      return "dead";
    case Outcome::cancelled:
      return "cancelled";
    case Outcome::suppressed:
      return "suppressed";
    case Outcome::expired:
      return "expired";
  }
  return "unknown";
}

}  // namespace tocsin::flow
