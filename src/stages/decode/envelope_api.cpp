#include <array>

#include "stages/decode/envelope.hpp"
#include "stages/decode/time_text.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;

enum class Target : std::uint8_t {
  attribute,
  extension,
  metadata,  // An object, kept as its JSON text.
  fallback_type,
  time,
  data,
  severity,
  priority,
  traceparent,
  specversion,
};

struct Member {
  std::string_view name;
  std::string_view pointer;
  Target target = Target::attribute;
  AttributeTag tag = AttributeTag::extension;
  std::string_view extension = {};
};

constexpr Member attribute(std::string_view pointer, AttributeTag tag) {
  return {pointer.substr(1), pointer, Target::attribute, tag, {}};
}
constexpr Member other(std::string_view pointer, Target target, std::string_view extension = {}) {
  return {pointer.substr(1), pointer, target, AttributeTag::extension, extension};
}

constexpr std::array members{
    attribute("/event", AttributeTag::type),
    other("/payload", Target::data),
    other("/data", Target::data),
    attribute("/eventType", AttributeTag::type),
    attribute("/eventId", AttributeTag::producer_id),
    attribute("/source", AttributeTag::source),
    other("/timestamp", Target::time),
    attribute("/id", AttributeTag::producer_id),
    attribute("/subject", AttributeTag::subject),
    other("/severity", Target::severity),
    other("/priority", Target::priority),
    attribute("/partitionKey", AttributeTag::partition_key),
    attribute("/eventName", AttributeTag::type),
    attribute("/event_id", AttributeTag::producer_id),
    attribute("/event_name", AttributeTag::type),
    attribute("/event_type", AttributeTag::type),
    other("/event_data", Target::data),
    other("/eventData", Target::data),
    other("/occurredAt", Target::time),
    other("/occurred_at", Target::time),
    other("/time", Target::time),
    attribute("/partition_key", AttributeTag::partition_key),
    attribute("/aggregateType", AttributeTag::aggregate_type),
    attribute("/aggregate_type", AttributeTag::aggregate_type),
    attribute("/aggregateId", AttributeTag::aggregate_id),
    attribute("/aggregate_id", AttributeTag::aggregate_id),
    other("/actorId", Target::extension, "actorid"),
    other("/actorType", Target::extension, "actortype"),
    other("/metadata", Target::metadata, "metadata"),
    other("/traceparent", Target::traceparent),
    attribute("/tracestate", AttributeTag::tracestate),
    other("/name", Target::fallback_type),
    other("/specversion", Target::specversion),
};

const Member* find_member(std::string_view raw_key) noexcept {
  // A key written with escapes is rare; only then each name is compared the long way.
  const bool escaped = raw_key.find('\\') != raw_key.npos;
  for (const Member& member : members) {
    if (escaped ? json::string_equals(raw_key, member.name) : raw_key == member.name) {
      return &member;
    }
  }
  return nullptr;
}

Check set_time(json::Value value, std::string_view text, std::string_view pointer,
               EventDraft& draft) noexcept {
  const auto time = value.kind() == json::Kind::number ? parse_epoch(text) : parse_rfc3339(text);
  if (!time) return refuse(Refusal::envelope, "the time is not RFC 3339 or Unix time", pointer);
  draft.producer_time_us = *time;
  return {};
}

// `text` is not empty.
Check set_text(const Member& member, json::Value value, std::string_view text,
               EventDraft& draft) noexcept {
  switch (member.target) {
    case Target::time:
      return set_time(value, text, member.pointer, draft);
    case Target::extension:
      return draft.set_extension(member.extension, text);
    case Target::severity:
      draft.severity = parse_severity(text);
      if (draft.severity) return {};
      return refuse(Refusal::envelope, "severity is not info, warning, error or critical",
                    member.pointer);
    case Target::priority:
      draft.priority = parse_priority(text);
      if (draft.priority) return {};
      return refuse(Refusal::envelope, "priority is not low, normal, high or urgent",
                    member.pointer);
    case Target::traceparent:
      draft.set_traceparent(text);
      return {};
    case Target::fallback_type:
      if (!draft.get(AttributeTag::type).empty()) return {};
      return draft.set(AttributeTag::type, text, member.pointer);
    default:
      return draft.set(member.tag, text, member.pointer);
  }
}

Check apply(const Member& member, json::Value value, EventDraft& draft) noexcept {
  if (member.target == Target::data) {
    draft.data = value.text();
    draft.data_kind = EventDraft::Data::json;
    return {};
  }
  if (member.target == Target::metadata) {
    const auto text = draft.one_line(value.text());
    if (!text) return Unexpected{text.error()};
    return draft.set_extension(member.extension, *text);
  }
  const auto text = draft.text_of(value, member.pointer);
  if (!text) return Unexpected{text.error()};
  if (text->empty()) return {};
  return set_text(member, value, *text, draft);
}

}  // namespace

Check read_api(json::Value root, EventDraft& draft) noexcept {
  if (root.kind() != json::Kind::object) {
    return refuse(Refusal::envelope, "an event is a JSON object", "");
  }
  for (json::Members m(root); m.next();) {
    const Member* const member = find_member(m.key());
    if (member == nullptr) continue;
    if (member->target == Target::specversion) {
      draft.reset();
      return read_cloudevents(root, draft);
    }
    if (auto check = apply(*member, m.value(), draft); !check) return check;
  }
  if (draft.get(AttributeTag::type).empty()) {
    return refuse(Refusal::envelope, "the event's type is missing", "/event");
  }
  if (draft.data_kind == EventDraft::Data::absent) {
    return refuse(Refusal::envelope, "the payload is missing", "/payload");
  }
  return {};
}

}  // namespace tocsin::decode
