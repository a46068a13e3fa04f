#include "stages/ingress/http/trigger.hpp"

#include <algorithm>
#include <string_view>

#include "base/ascii.hpp"
#include "protocol/http/fields.hpp"

namespace tocsin::ingress {
namespace {

using flow::Refusal;
using flow::Rejection;

constexpr std::string_view prefix = "ce-";

bool is_attribute(std::string_view name) noexcept {
  return name.size() > prefix.size() && name[2] == prefix[2] &&
         equals_ignoring_case(name.substr(0, prefix.size()), prefix);
}

bool has_attributes(const http::Headers& headers) noexcept {
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (is_attribute(headers.at(i).name)) return true;
  }
  return false;
}

bool is_ndjson(std::string_view type) noexcept {
  return equals_ignoring_case(type, "application/x-ndjson") ||
         equals_ignoring_case(type, "application/ndjson");
}

Unexpected<Rejection> unsupported(std::string_view detail) noexcept {
  return Unexpected{Rejection{.reason = Refusal::content_type, .detail = detail}};
}

Unexpected<Rejection> malformed(std::string_view detail) noexcept {
  return Unexpected{Rejection{.reason = Refusal::envelope, .detail = detail}};
}

}  // namespace

TriggerReader::TriggerReader(std::size_t head_size_max) { text_.reserve(head_size_max); }

Result<Trigger, Rejection> TriggerReader::read(const http::Request& request,
                                               EventRoute route) noexcept {
  auto trigger = trigger_of_head(request, route);
  if (!trigger) return trigger;
  trigger->event.payload = request.body;
  if (trigger->event.envelope != flow::Envelope::cloudevents_binary) return trigger;
  return read_binary(*trigger, *request.headers);
}

Result<Trigger, Rejection> trigger_of_head(const http::Request& request,
                                           EventRoute route) noexcept {
  const std::string_view content_type = request.header(http::Field::content_type).value_or("");
  const std::string_view type = http::media_type(content_type);
  Trigger trigger;
  trigger.event.content_type = content_type;
  trigger.event.traceparent = request.header(http::Field::traceparent).value_or("");
  if (!http::charset_is_utf8(content_type)) return unsupported("only UTF-8 is understood");
  // Whole names are compared: "application/cloudevents" begins all of these.
  if (equals_ignoring_case(type, "application/cloudevents-batch+json")) {
    trigger.event.envelope = flow::Envelope::cloudevents;
    trigger.form = flow::BatchForm::array;
    return trigger;
  }
  const bool plain_json = type.empty() || equals_ignoring_case(type, "application/json");
  if (route == EventRoute::batch) {
    if (!plain_json && !is_ndjson(type)) {
      return unsupported(
          "a batch is application/json, application/x-ndjson or "
          "application/cloudevents-batch+json");
    }
    trigger.form = plain_json ? flow::BatchForm::array : flow::BatchForm::ndjson;
    return trigger;
  }
  if (equals_ignoring_case(type, "application/cloudevents+json")) {
    trigger.event.envelope = flow::Envelope::cloudevents;
    return trigger;
  }
  constexpr std::string_view structured = "application/cloudevents";
  if (equals_ignoring_case(type.substr(0, structured.size()), structured)) {
    return unsupported("of the CloudEvents formats only JSON is understood");
  }
  if (has_attributes(*request.headers)) {
    trigger.event.envelope = flow::Envelope::cloudevents_binary;
    return trigger;
  }
  if (!plain_json) {
    return unsupported(
        "an event is application/json, application/cloudevents+json, "
        "application/cloudevents-batch+json, or anything with ce- header fields");
  }
  return trigger;
}

// CloudEvents HTTP binding section 3.1.
Result<Trigger, Rejection> TriggerReader::read_binary(Trigger trigger,
                                                      const http::Headers& headers) noexcept {
  text_.clear();
  std::size_t count = 0;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const http::Header header = headers.at(i);
    if (!is_attribute(header.name)) continue;
    if (count == fields_.size()) return malformed("too many ce- header fields");
    const std::size_t name_at = text_.size();
    for (const char c : header.name.substr(prefix.size())) {
      text_ += ascii_lower(c);
    }
    const std::size_t value_at = text_.size();
    if (!http::decode_cloudevents_value(header.value, text_)) {
      return malformed("a ce- header field is not percent-encoded UTF-8");
    }
    const std::string_view text = text_;
    flow::Field& field = fields_[count];
    field = {.name = text.substr(name_at, value_at - name_at), .value = text.substr(value_at)};
    if (field.name == "datacontenttype") {
      return malformed("ce-datacontenttype: Content-Type carries this attribute");
    }
    for (std::size_t other = 0; other < count; ++other) {
      if (fields_[other].name == field.name) return malformed("a ce- header field is given twice");
    }
    ++count;
  }
  trigger.event.attributes = std::span(fields_).first(count);
  return trigger;
}

Result<std::optional<Level>, Problem> requested_level(const http::Request& request) noexcept {
  const auto value = request.header(http::Field::tocsin_ack);
  if (!value) return std::optional<Level>{};
  if (equals_ignoring_case(*value, "accepted")) return std::optional<Level>{Level::accepted};
  if (equals_ignoring_case(*value, "stored")) return std::optional<Level>{Level::stored};
  return Unexpected{Problem{.status = 400,
                            .name = "acknowledgement",
                            .title = "Unknown acknowledgement level",
                            .detail = "Tocsin-Ack is \"accepted\" or \"stored\""}};
}

}  // namespace tocsin::ingress
