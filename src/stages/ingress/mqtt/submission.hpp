#pragma once
// From a PUBLISH or a will to the intake: which envelope it is, and what goes along.

#include <cstdint>
#include <string>
#include <string_view>

#include <tocsin/result.hpp>

#include "flow/intake.hpp"
#include "protocol/mqtt/properties.hpp"
#include "protocol/mqtt/types.hpp"

namespace tocsin::ingress {

/// Views are valid during the call.
struct Submission {
  std::string_view topic;
  std::string_view payload;  ///< json_padding readable bytes follow.
  const mqtt::Properties& properties;
  std::uint8_t qos = 0;
  bool retain = false;
  std::string_view publisher;  ///< Client id, when its own subscriptions ask for "no local".
  flow::AckToken token;
};

/// Gives the intake what subscribers and rules get. A CloudEvent in structured mode is two records:
/// the event that it holds, and the message as it was published; `event_taken` says, before and
/// after the call, that the event is in already.
Result<flow::Accepted, flow::Rejection> submit(flow::Intake& intake, const Submission& submission,
                                               bool route_unmatched, bool& event_taken) noexcept;

/// What a client may be told about its message (MQTT 5.0 section 3.4.2.1).
[[nodiscard]] mqtt::ReasonCode reason_of(flow::Refusal refusal) noexcept;

}  // namespace tocsin::ingress
