#include "base/ascii.hpp"
#include "flow/hub.hpp"
#include "stages/decode/envelope.hpp"

namespace tocsin::decode {

using flow::Refusal;

Check read_device(const flow::RawEvent& event, const flow::SourceTable& sources,
                  EventDraft& draft) noexcept {
  if (!flow::topic_name_valid(event.topic)) {
    return refuse(Refusal::topic, "the topic is empty or holds wildcards");
  }
  if (event.topic.starts_with(flow::notification_topic_prefix)) {
    return refuse(Refusal::topic, "the topic is reserved for notifications");
  }
  const auto match = sources.match_topic(event.topic);
  if (!match) return refuse(Refusal::unknown_source, "no event source has this topic");
  draft.registered = match->source;
  const std::string& type = match->source->type;
  if (auto check = draft.set(AttributeTag::source, event.topic, {}); !check) return check;
  if (auto check = draft.set(AttributeTag::type, type.empty() ? match->source->name : type, {});
      !check) {
    return check;
  }
  for (std::size_t i = 0; i < match->capture_count; ++i) {
    const flow::Capture& capture = match->captures[i];
    if (i == 0) {
      if (auto check = draft.set(AttributeTag::subject, capture.value, {}); !check) return check;
    }
    if (auto check = draft.set_extension(capture.name, capture.value); !check) return check;
  }
  return {};
}

Check read_message(const flow::RawEvent& event, EventDraft& draft) noexcept {
  if (!flow::topic_name_valid(event.topic)) {
    return refuse(Refusal::topic, "the topic is empty or holds wildcards");
  }
  return draft.set(AttributeTag::source, event.topic, {});
}

bool is_json_media_type(std::string_view content_type) noexcept {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  const auto ends_with = [&](std::string_view lower_case) {
    return type.size() >= lower_case.size() &&
           equals_ignoring_case(type.substr(type.size() - lower_case.size()), lower_case);
  };
  return type.empty() || ends_with("/json") || ends_with("+json");
}

}  // namespace tocsin::decode
