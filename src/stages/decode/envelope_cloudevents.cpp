#include <algorithm>

#include "stages/decode/envelope.hpp"
#include "stages/decode/time_text.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;

// Section "Naming conventions" of the specification.
bool attribute_name_valid(std::string_view name) noexcept {
  constexpr std::size_t size_max = 20;
  return !name.empty() && name.size() <= size_max &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

struct Required {
  bool specversion = false;
};

// One context attribute with its text, which is not empty; the same in both modes.
Check apply(std::string_view name, std::string_view text, Required& required,
            EventDraft& draft) noexcept {
  if (name == "id") return draft.set(AttributeTag::producer_id, text, "/id");
  if (name == "type") return draft.set(AttributeTag::type, text, "/type");
  if (name == "source") return draft.set(AttributeTag::source, text, "/source");
  if (name == "subject") return draft.set(AttributeTag::subject, text, "/subject");
  if (name == "dataschema") return draft.set(AttributeTag::data_schema, text, "/dataschema");
  if (name == "datacontenttype") {
    return draft.set(AttributeTag::content_type, text, "/datacontenttype");
  }
  if (name == "specversion") {
    required.specversion = text == "1.0";
    if (required.specversion) return {};
    return refuse(Refusal::envelope, "specversion is not 1.0", "/specversion");
  }
  if (name == "time") {
    const auto time = parse_rfc3339(text);
    if (!time) return refuse(Refusal::envelope, "time is not RFC 3339", "/time");
    draft.producer_time_us = *time;
    return {};
  }
  if (!attribute_name_valid(name)) {
    return refuse(Refusal::envelope, "an attribute's name is not 1 to 20 of a-z and 0-9");
  }
  return draft.set_known_or_extension(name, text);
}

Check check_required(const Required& required, const EventDraft& draft) noexcept {
  if (!required.specversion) {
    return refuse(Refusal::envelope, "specversion is missing", "/specversion");
  }
  if (draft.get(AttributeTag::producer_id).empty()) {
    return refuse(Refusal::envelope, "id is missing", "/id");
  }
  if (draft.get(AttributeTag::source).empty()) {
    return refuse(Refusal::envelope, "source is missing", "/source");
  }
  if (draft.get(AttributeTag::type).empty()) {
    return refuse(Refusal::envelope, "type is missing", "/type");
  }
  return {};
}

bool must_be_string(std::string_view name) noexcept {
  return name == "id" || name == "type" || name == "source" || name == "subject" ||
         name == "specversion" || name == "time" || name == "dataschema" ||
         name == "datacontenttype";
}

Check apply_member(std::string_view name, json::Value value, Required& required,
                   EventDraft& draft) noexcept {
  if (value.kind() == json::Kind::null) return {};
  if (must_be_string(name) && value.kind() != json::Kind::string) {
    return refuse(Refusal::envelope, "a context attribute is not a string");
  }
  const auto text = draft.text_of(value, {});
  if (!text) return Unexpected{text.error()};
  if (text->empty()) return {};
  return apply(name, *text, required, draft);
}

Check set_data(bool base64, json::Value value, EventDraft& draft) noexcept {
  const auto kind = base64 ? EventDraft::Data::base64 : EventDraft::Data::json;
  if (base64) {
    if (value.kind() == json::Kind::null) return {};
    if (value.kind() != json::Kind::string) {
      return refuse(Refusal::envelope, "data_base64 is not a string", "/data_base64");
    }
  }
  if (draft.data_kind != EventDraft::Data::absent && draft.data_kind != kind) {
    return refuse(Refusal::envelope, "both data and data_base64 are present", "/data_base64");
  }
  draft.data_kind = kind;
  draft.data = value.text();
  return {};
}

}  // namespace

Check read_cloudevents(json::Value root, EventDraft& draft) noexcept {
  if (root.kind() != json::Kind::object) {
    return refuse(Refusal::envelope, "an event is a JSON object", "");
  }
  Required required;
  for (json::Members m(root); m.next();) {
    const auto name = draft.unescape(m.key());
    if (!name) return Unexpected{name.error()};
    const bool base64 = *name == "data_base64";
    const auto check = base64 || *name == "data" ? set_data(base64, m.value(), draft)
                                                 : apply_member(*name, m.value(), required, draft);
    if (!check) return check;
  }
  return check_required(required, draft);
}

Check read_cloudevents_binary(const flow::RawEvent& event, EventDraft& draft) noexcept {
  Required required;
  for (const flow::Field& field : event.attributes) {
    if (field.value.empty()) continue;
    if (auto check = apply(field.name, field.value, required, draft); !check) return check;
  }
  if (!event.content_type.empty()) {
    auto check = draft.set(AttributeTag::content_type, event.content_type, "/datacontenttype");
    if (!check) return check;
  }
  return check_required(required, draft);
}

}  // namespace tocsin::decode
