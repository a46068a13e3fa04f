#include "stages/ingress/subscription/reason_text.hpp"

#include <fmt/format.h>

namespace tocsin::ingress {

std::string reason_text(mqtt::ReasonCode code) {
  using mqtt::ReasonCode;
  switch (code) {
    case ReasonCode::success:
      return "normal disconnection";
    case ReasonCode::malformed_packet:
      return "malformed packet";
    case ReasonCode::protocol_error:
      return "protocol error";
    case ReasonCode::unsupported_protocol_version:
      return "unsupported protocol version";
    case ReasonCode::client_identifier_not_valid:
      return "client identifier not valid";
    case ReasonCode::bad_user_name_or_password:
      return "bad user name or password";
    case ReasonCode::not_authorized:
      return "not authorized";
    case ReasonCode::server_unavailable:
      return "server unavailable";
    case ReasonCode::server_busy:
      return "server busy";
    case ReasonCode::banned:
      return "banned";
    case ReasonCode::server_shutting_down:
      return "server shutting down";
    case ReasonCode::keep_alive_timeout:
      return "keep-alive timeout";
    case ReasonCode::session_taken_over:
      return "session taken over: another client has the same client id";
    case ReasonCode::topic_filter_invalid:
      return "topic filter invalid";
    case ReasonCode::receive_maximum_exceeded:
      return "receive maximum exceeded";
    case ReasonCode::packet_too_large:
      return "packet too large";
    case ReasonCode::quota_exceeded:
      return "quota exceeded";
    case ReasonCode::administrative_action:
      return "administrative action";
    case ReasonCode::use_another_server:
      return "use another server";
    case ReasonCode::server_moved:
      return "server moved";
    case ReasonCode::shared_subscriptions_not_supported:
      return "shared subscriptions not supported";
    case ReasonCode::wildcard_subscriptions_not_supported:
      return "wildcard subscriptions not supported";
    default:
      return fmt::format("reason code {:#04x}", static_cast<unsigned>(code));
  }
}

std::string return_text(mqtt::ReturnCode code) {
  using mqtt::ReturnCode;
  switch (code) {
    case ReturnCode::accepted:
      return "accepted";
    case ReturnCode::unacceptable_protocol_version:
      return "unacceptable protocol version";
    case ReturnCode::identifier_rejected:
      return "client identifier rejected";
    case ReturnCode::server_unavailable:
      return "server unavailable";
    case ReturnCode::bad_user_name_or_password:
      return "bad user name or password";
    case ReturnCode::not_authorized:
      return "not authorized";
  }
  return fmt::format("return code {}", static_cast<unsigned>(code));
}

}  // namespace tocsin::ingress
