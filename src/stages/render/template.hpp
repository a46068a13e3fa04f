#pragma once
// A template: text with {{variables}}, compiled when rules are loaded.
//
// A variable names a field of the payload by a dotted path ({{ order.items.0.sku }}). It is looked
// up in this order: the payload's field; a reserved name (event.id, event.type, event.source,
// event.subject, event.time, event.severity, event.priority, rule.name); an extension attribute of
// the event, topic levels captured by its source included. What is found nowhere is empty.
// {{payload}} always is the whole payload. What a variable yields is never read as a template.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "protocol/json/path.hpp"

namespace tocsin::render {

inline constexpr std::size_t template_size_max = 64 * 1024;
inline constexpr std::size_t template_variables_max = 256;

/// How variables are written into the text around them.
enum class Escape : std::uint8_t {
  none,
  html,  ///< & < > " ' as character references.
  /// The template is JSON text: between quotes a variable becomes part of the string; elsewhere it
  /// becomes a whole JSON value, null when it is missing.
  json,
};

/// Where a variable without a payload field gets its value from.
enum class Reserved : std::uint8_t {
  none,
  payload,
  event_id,
  event_type,
  event_source,
  event_subject,
  event_time,
  event_severity,
  event_priority,
  rule_name,
};

struct Segment {
  std::string literal;  ///< Comes before the variable.
  bool variable = false;
  std::string name;
  json::Path path;
  Reserved reserved = Reserved::none;
  bool quoted = false;  ///< Stands inside a JSON string of the template (Escape::json).
};

class Template {
 public:
  /// The empty template.
  Template() = default;
  /// The error is a sentence with the offset. Only variables are known: sections, partials,
  /// comments, unescaped variables and new delimiters are refused by name.
  [[nodiscard]] static Result<Template, std::string> compile(std::string_view text);

  [[nodiscard]] bool empty() const noexcept { return segments_.empty(); }
  [[nodiscard]] const std::vector<Segment>& segments() const noexcept { return segments_; }

 private:
  std::vector<Segment> segments_;
};

}  // namespace tocsin::render
