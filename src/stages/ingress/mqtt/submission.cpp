#include "stages/ingress/mqtt/submission.hpp"

#include <array>
#include <string>
#include <utility>

#include <tocsin/limits.hpp>

#include "base/ascii.hpp"
#include "protocol/mqtt/forward.hpp"

namespace tocsin::ingress {
namespace {

using mqtt::PropertyId;
using mqtt::ReasonCode;

// The media type, without parameters, in any case of letters (CloudEvents MQTT binding 3.0.1).
bool is_structured(std::string_view content_type) noexcept {
  constexpr std::string_view wanted = "application/cloudevents+json";
  if (content_type.size() < wanted.size()) return false;
  if (!equals_ignoring_case(content_type.substr(0, wanted.size()), wanted)) return false;
  const std::string_view rest = content_type.substr(wanted.size());
  return rest.empty() || rest.front() == ';' || rest.front() == ' ';
}

// The User Properties of a publish, as the intake wants them.
struct Attributes {
  std::array<flow::Field, extensions_max> fields;
  std::size_t count = 0;
  bool overflowed = false;
  std::string_view traceparent;
  std::size_t traceparent_index = 0;
  unsigned context = 0;  // Bits: which of the four required CloudEvents attributes are there.

  explicit Attributes(const mqtt::Properties& properties) noexcept {
    properties.for_each_user_property([&](std::string_view name, std::string_view value) {
      if (count == fields.size()) {
        overflowed = true;
        return false;
      }
      if (name == "traceparent") {
        traceparent = value;
        traceparent_index = count;
      }
      if (name == "specversion") context |= 1U;
      if (name == "id") context |= 2U;
      if (name == "source") context |= 4U;
      if (name == "type") context |= 8U;
      fields[count++] = {name, value};
      return true;
    });
  }
  [[nodiscard]] bool cloudevent() const noexcept { return context == 15U; }
  // The trace of the hop has its own place; only in a CloudEvent it is an attribute as well.
  void remove_traceparent() noexcept {
    if (traceparent.data() != nullptr) fields[traceparent_index] = fields[--count];
  }
};

Result<flow::Accepted, flow::Rejection> submit_event(flow::Intake& intake, flow::RawEvent& event,
                                                     const Submission& submission,
                                                     bool& event_taken) noexcept {
  Attributes attributes(submission.properties);
  if (attributes.overflowed) {
    return Unexpected{flow::Rejection{flow::Refusal::attribute_size, "too many user properties"}};
  }
  event.content_type = submission.properties.text(PropertyId::content_type);
  const bool structured = is_structured(event.content_type);
  if (structured || !attributes.cloudevent()) attributes.remove_traceparent();
  event.attributes = {attributes.fields.data(), attributes.count};
  event.traceparent = attributes.traceparent;
  if (!structured) {
    if (attributes.cloudevent()) event.envelope = flow::Envelope::cloudevents_binary;
    return intake.add(event, submission.token);
  }
  event.envelope = flow::Envelope::cloudevents;
  const flow::MqttMessage* const message = std::exchange(event.message, nullptr);
  const bool as_message = std::exchange(event.message_if_unmatched, false);
  if (!event_taken) {
    const auto accepted = intake.add(event, {});
    const bool unmatched =
        !accepted && accepted.error().reason == flow::Refusal::unknown_source && as_message;
    if (!accepted && !unmatched) return accepted;
    event_taken = true;
  }
  event.envelope = flow::Envelope::message;
  event.message = message;
  const auto accepted = intake.add(event, submission.token);
  if (accepted || accepted.error().reason != flow::Refusal::capacity) event_taken = false;
  return accepted;
}

}  // namespace

Result<flow::Accepted, flow::Rejection> submit(flow::Intake& intake, const Submission& submission,
                                               bool route_unmatched, bool& event_taken) noexcept {
  const mqtt::Properties& properties = submission.properties;
  flow::MqttMessage message{.qos = submission.qos,
                            .retain = submission.retain,
                            .properties = {},
                            .publisher = submission.publisher};
  flow::RawEvent event;
  event.envelope = flow::Envelope::device;
  event.topic = submission.topic;
  event.payload = submission.payload;
  event.message = &message;
  event.message_if_unmatched = route_unmatched;
  // Nothing to look into: it clears what is retained, or is a sign to subscribers.
  const bool empty = submission.payload.empty() && (submission.retain || route_unmatched);
  if (properties.empty()) {
    if (empty) event.envelope = flow::Envelope::message;
    return intake.add(event, submission.token);
  }
  std::string scratch;
  if (properties.has(PropertyId::topic_alias) || properties.has(PropertyId::will_delay_interval)) {
    scratch.resize(properties.block().size());
  }
  message.properties = mqtt::forwardable_block(properties, scratch);
  if (!empty) return submit_event(intake, event, submission, event_taken);
  event.envelope = flow::Envelope::message;
  return intake.add(event, submission.token);
}

ReasonCode reason_of(flow::Refusal refusal) noexcept {
  switch (refusal) {
    case flow::Refusal::unknown_source:
    case flow::Refusal::inactive_source:
      return ReasonCode::topic_name_invalid;
    case flow::Refusal::topic:
    case flow::Refusal::access:
      return ReasonCode::not_authorized;
    case flow::Refusal::too_large:
    case flow::Refusal::attribute_size:
    case flow::Refusal::entries:
    case flow::Refusal::capacity:
    case flow::Refusal::quota:
      return ReasonCode::quota_exceeded;
    case flow::Refusal::empty:
    case flow::Refusal::json_syntax:
    case flow::Refusal::json_utf8:
    case flow::Refusal::json_depth:
    case flow::Refusal::json_number:
    case flow::Refusal::envelope:
    case flow::Refusal::content_type:
      return ReasonCode::payload_format_invalid;
    case flow::Refusal::commit_failed:
      return ReasonCode::implementation_specific_error;
    case flow::Refusal::shutting_down:
      break;
  }
  return ReasonCode::unspecified_error;
}

}  // namespace tocsin::ingress
