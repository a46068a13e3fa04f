#pragma once
// The envelopes that events come in. Each function fills a draft that was reset; what is refused
// leaves it half filled.

#include <string_view>

#include "flow/intake.hpp"
#include "flow/sources.hpp"
#include "protocol/json/walker.hpp"
#include "stages/decode/event_draft.hpp"

namespace tocsin::decode {

/// Our own API's shape, {"event": type, "payload": value}, and the names that producers already use
/// for the same things; README.md lists them. With a member "specversion" it is CloudEvents.
/// `root`: validated.
[[nodiscard]] Check read_api(json::Value root, EventDraft& draft) noexcept;

/// CloudEvents 1.0.2 JSON format, structured mode. `root`: validated.
[[nodiscard]] Check read_cloudevents(json::Value root, EventDraft& draft) noexcept;

/// CloudEvents 1.0.2 binary mode: attributes in event.attributes. The payload is left to the
/// caller.
[[nodiscard]] Check read_cloudevents_binary(const flow::RawEvent& event,
                                            EventDraft& draft) noexcept;

/// A device's publish: everything but the payload follows from the topic.
[[nodiscard]] Check read_device(const flow::RawEvent& event, const flow::SourceTable& sources,
                                EventDraft& draft) noexcept;

/// What is for MQTT subscribers only: any payload; the topic stands in the source's field.
[[nodiscard]] Check read_message(const flow::RawEvent& event, EventDraft& draft) noexcept;

/// Whether a media type is JSON: absent, application/json, text/json or any "+json" (RFC 6839).
[[nodiscard]] bool is_json_media_type(std::string_view content_type) noexcept;

}  // namespace tocsin::decode
