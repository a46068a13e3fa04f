#include "stages/decode/event_draft.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/ascii.hpp"
#include "protocol/json/text.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::decode {
namespace {

using flow::Refusal;

template <class T, std::size_t n>
std::optional<T> look_up(const std::array<std::pair<std::string_view, T>, n>& table,
                         std::string_view text) noexcept {
  for (const auto& [name, value] : table) {
    if (equals_ignoring_case(text, name)) return value;
  }
  return std::nullopt;
}

// Attributes become header lines, subjects and log lines later: no control characters get in.
bool is_plain_text(std::string_view text) noexcept {
  bool ascii = true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) return false;
    ascii &= byte < 0x80;
  }
  return ascii || utf8_valid(text);
}

Check check_text(std::string_view text, std::string_view pointer) noexcept {
  if (text.size() > name_size_max) {
    return refuse(Refusal::attribute_size, "an attribute is longer than 1024 bytes", pointer);
  }
  if (!is_plain_text(text)) {
    return refuse(Refusal::envelope, "an attribute holds control characters or is not UTF-8",
                  pointer);
  }
  return {};
}

bool all_lower_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) noexcept { return text.find_first_not_of('0') == text.npos; }

// Version 00 or later with nonzero ids: https://www.w3.org/TR/trace-context/ section 3.2.
bool traceparent_valid(std::string_view text) noexcept {
  constexpr std::size_t version0_size = 55;
  if (text.size() < version0_size || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return false;
  }
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  if (version == "ff" || (version == "00" && text.size() != version0_size)) return false;
  if (text.size() > version0_size && text[version0_size] != '-') return false;
  return all_lower_hex(version) && all_lower_hex(trace_id) && all_lower_hex(parent_id) &&
         all_lower_hex(text.substr(53, 2)) && !all_zero(trace_id) && !all_zero(parent_id);
}

class FieldWriter {
 public:
  explicit FieldWriter(std::span<char> out) noexcept : out_(out) {}
  [[nodiscard]] bool put(AttributeTag tag, std::string_view name, std::string_view value) noexcept {
    const bool extension = tag == AttributeTag::extension;
    const std::size_t size = value.size() + (extension ? 1 + name.size() : 0);
    if (size > UINT16_MAX || size + 3 > out_.size() - used_) return false;
    byte(static_cast<std::size_t>(tag));
    byte(size & 0xFFU);
    byte(size >> 8U);
    if (extension) {
      byte(name.size());
      bytes(name);
    }
    bytes(value);
    return true;
  }
  // flow/route_info.hpp.
  [[nodiscard]] bool put_mqtt(const flow::MqttMessage& message) noexcept {
    const std::string_view publisher = message.publisher;
    const std::size_t size = 2 + publisher.size() + message.properties.size();
    if (size == 2) return true;
    if (size > UINT16_MAX || size + 3 > out_.size() - used_) return false;
    byte(static_cast<std::size_t>(AttributeTag::mqtt));
    for (const std::size_t number : {size, publisher.size()}) {
      byte(number & 0xFFU);
      byte(number >> 8U);
    }
    bytes(publisher);
    bytes(message.properties);
    return true;
  }
  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  void byte(std::size_t value) noexcept { out_[used_++] = static_cast<char>(value); }
  void bytes(std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(out_.data() + used_, text.data(), text.size());
    used_ += text.size();
  }
  std::span<char> out_;
  std::size_t used_ = 0;
};

}  // namespace

std::optional<Priority> parse_priority(std::string_view text) noexcept {
  static constexpr std::array<std::pair<std::string_view, Priority>, 4> names{
      {{"low", Priority::low},
       {"normal", Priority::normal},
       {"high", Priority::high},
       {"urgent", Priority::urgent}}};
  return look_up(names, text);
}

std::optional<Severity> parse_severity(std::string_view text) noexcept {
  static constexpr std::array<std::pair<std::string_view, Severity>, 12> names{
      {{"info", Severity::info},
       {"warning", Severity::warning},
       {"error", Severity::error},
       {"critical", Severity::critical},
       {"warn", Severity::warning},
       {"fatal", Severity::critical},
       {"notice", Severity::info},
       {"debug", Severity::info},
       {"trace", Severity::info},
       {"alert", Severity::critical},
       {"emergency", Severity::critical},
       {"informational", Severity::info}}};
  return look_up(names, text);
}

void EventDraft::reset() noexcept {
  attributes_.fill({});
  extension_count_ = 0;
  text_used_ = 0;
  data_kind = Data::absent;
  data = {};
  registered = nullptr;
  message = nullptr;
  priority.reset();
  severity.reset();
  producer_time_us = producer_time_absent;
}

Check EventDraft::set(AttributeTag tag, std::string_view text, std::string_view pointer) noexcept {
  if (auto check = check_text(text, pointer); !check) return check;
  attributes_[static_cast<std::size_t>(tag)] = text;
  return {};
}

Check EventDraft::set_extension(std::string_view name, std::string_view text) noexcept {
  if (name.empty() || name.size() > UINT8_MAX) {
    return refuse(Refusal::attribute_size, "an attribute's name is empty or longer than 255 bytes");
  }
  if (auto check = check_text(name, {}); !check) return check;
  if (auto check = check_text(text, {}); !check) return check;
  for (flow::Field& extension : std::span{extensions_}.first(extension_count_)) {
    if (extension.name != name) continue;
    extension.value = text;
    return {};
  }
  if (extension_count_ == extensions_.size()) {
    return refuse(Refusal::attribute_size, "more than 32 extension attributes");
  }
  extensions_[extension_count_++] = {name, text};
  return {};
}

Check EventDraft::set_known_or_extension(std::string_view name, std::string_view text) noexcept {
  if (name == "partitionkey") return set(AttributeTag::partition_key, text, "/partitionkey");
  if (name == "aggregatetype") return set(AttributeTag::aggregate_type, text, "/aggregatetype");
  if (name == "aggregateid") return set(AttributeTag::aggregate_id, text, "/aggregateid");
  if (name == "tracestate") return set(AttributeTag::tracestate, text, "/tracestate");
  if (name == "traceparent") {
    set_traceparent(text);
    return {};
  }
  // Others use these names for scales of their own: what we do not understand stays an extension.
  if (name == "priority") {
    if (const auto value = parse_priority(text)) {
      priority = value;
      return {};
    }
  }
  if (name == "severitytext") {
    if (const auto value = parse_severity(text)) {
      severity = value;
      return {};
    }
  }
  return set_extension(name, text);
}

bool EventDraft::has(std::string_view name) const noexcept {
  if (name == "partitionkey") return !get(AttributeTag::partition_key).empty();
  if (name == "aggregatetype") return !get(AttributeTag::aggregate_type).empty();
  if (name == "aggregateid") return !get(AttributeTag::aggregate_id).empty();
  if (name == "tracestate") return !get(AttributeTag::tracestate).empty();
  if (name == "traceparent") return !get(AttributeTag::traceparent).empty();
  if (name == "priority" && priority) return true;
  if (name == "severitytext" && severity) return true;
  const auto extensions = std::span{extensions_}.first(extension_count_);
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const flow::Field& extension) { return extension.name == name; });
}

Check EventDraft::set_default(std::string_view name, std::string_view text) noexcept {
  if (text.empty() || has(name)) return {};
  return set_known_or_extension(name, text);
}

void EventDraft::set_traceparent(std::string_view text) noexcept {
  if (!traceparent_valid(text) || text.size() > name_size_max || !is_plain_text(text)) return;
  attributes_[static_cast<std::size_t>(AttributeTag::traceparent)] = text;
}

Result<std::string_view, flow::Rejection> EventDraft::text_of(json::Value value,
                                                              std::string_view pointer) noexcept {
  switch (value.kind()) {
    case json::Kind::string:
      return unescape(value.raw_string());
    case json::Kind::number:
    case json::Kind::boolean:
      return value.text();
    case json::Kind::null:
      return std::string_view{};
    case json::Kind::object:
    case json::Kind::array:
      break;
  }
  return refuse(Refusal::envelope, "an attribute is an object or array", pointer);
}

Result<std::string_view, flow::Rejection> EventDraft::unescape(std::string_view raw) noexcept {
  const auto text = json::unescape(raw, std::span{text_}.subspan(text_used_));
  if (!text) return refuse(Refusal::attribute_size, "the attributes together are too long");
  if (text->data() == text_.data() + text_used_) text_used_ += text->size();
  return *text;
}

Result<std::string_view, flow::Rejection> EventDraft::one_line(std::string_view text) noexcept {
  // Inside a valid string these characters are escaped, so each one found stands between tokens.
  const auto breaks = [](char c) { return c == '\n' || c == '\r' || c == '\t'; };
  if (std::none_of(text.begin(), text.end(), breaks)) return text;
  if (text.size() > text_.size() - text_used_) {
    return refuse(Refusal::attribute_size, "the attributes together are too long");
  }
  char* const begin = text_.data() + text_used_;
  char* const end = std::remove_copy_if(text.begin(), text.end(), begin, breaks);
  const auto size = static_cast<std::size_t>(end - begin);
  text_used_ += size;
  return std::string_view{begin, size};
}

std::optional<std::size_t> EventDraft::write_attributes(
    std::array<char, record_attrs_max>& out) const noexcept {
  FieldWriter writer(out);
  if (registered != nullptr && !writer.put(AttributeTag::event_source, {}, registered->name)) {
    return std::nullopt;
  }
  for (std::size_t tag = 0; tag < tag_count; ++tag) {
    if (attributes_[tag].empty()) continue;
    if (!writer.put(static_cast<AttributeTag>(tag), {}, attributes_[tag])) return std::nullopt;
  }
  for (std::size_t i = 0; i < extension_count_; ++i) {
    if (!writer.put(AttributeTag::extension, extensions_[i].name, extensions_[i].value)) {
      return std::nullopt;
    }
  }
  if (message != nullptr && !writer.put_mqtt(*message)) return std::nullopt;
  return writer.used();
}

}  // namespace tocsin::decode
