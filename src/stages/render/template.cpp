#include "stages/render/template.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "protocol/utf8.hpp"

namespace tocsin::render {
namespace {

constexpr std::array<std::pair<std::string_view, Reserved>, 9> reserved_names = {
    {{"payload", Reserved::payload},
     {"event.id", Reserved::event_id},
     {"event.type", Reserved::event_type},
     {"event.source", Reserved::event_source},
     {"event.subject", Reserved::event_subject},
     {"event.time", Reserved::event_time},
     {"event.severity", Reserved::event_severity},
     {"event.priority", Reserved::event_priority},
     {"rule.name", Reserved::rule_name}}};

Reserved reserved_of(std::string_view name) noexcept {
  const auto it =
      std::ranges::find(reserved_names, name, &std::pair<std::string_view, Reserved>::first);
  return it == reserved_names.end() ? Reserved::none : it->second;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

/// The name of a Mustache tag that this version does not have, or empty.
std::string_view unsupported(char sigil) noexcept {
  switch (sigil) {
    case '#':
      return "sections";
    case '^':
      return "inverted sections";
    case '/':
      return "sections";
    case '>':
      return "partials";
    case '!':
      return "comments";
    case '=':
      return "other delimiters";
    case '&':
    case '{':
      return "unescaped variables";
    default:
      return {};
  }
}

/// Follows whether a position of JSON text is inside a string.
class QuoteState {
 public:
  void feed(std::string_view text) noexcept {
    for (const char c : text) {
      if (std::exchange(escaped_, false)) continue;
      if (c == '\\' && quoted_) escaped_ = true;
      if (c == '"') quoted_ = !quoted_;
    }
  }
  [[nodiscard]] bool quoted() const noexcept { return quoted_; }

 private:
  bool quoted_ = false;
  bool escaped_ = false;
};

Result<Segment, std::string> compile_variable(std::string_view inside, std::size_t offset) {
  const std::string_view name = trimmed(inside);
  if (name.empty()) {
    return Unexpected{fmt::format("the variable at offset {} has no name", offset)};
  }
  if (const std::string_view what = unsupported(name[0]); !what.empty()) {
    return Unexpected{fmt::format("{} (at offset {}) are not supported yet", what, offset)};
  }
  if (name.find_first_of("{} \t\r\n") != std::string_view::npos) {
    return Unexpected{
        fmt::format("the variable at offset {} has a name with braces or spaces", offset)};
  }
  auto path = json::Path::parse(name);
  if (!path) {
    return Unexpected{
        fmt::format("the variable \"{}\" at offset {} {}", name, offset, path.error())};
  }
  Segment segment;
  segment.variable = true;
  segment.name = name;
  segment.path = std::move(*path);
  segment.reserved = reserved_of(name);
  return segment;
}

}  // namespace

Result<Template, std::string> Template::compile(std::string_view text) {
  if (text.size() > template_size_max) {
    return Unexpected{fmt::format("a template of {} bytes is over the {} allowed", text.size(),
                                  template_size_max)};
  }
  if (!utf8_valid(text)) return Unexpected{std::string("a template must be UTF-8")};
  Template result;
  QuoteState quotes;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = text.find("{{", at);
    const std::string_view literal = text.substr(at, open - at);
    if (open == std::string_view::npos) {
      Segment last;
      last.literal = literal;
      result.segments_.push_back(std::move(last));
      break;
    }
    const std::size_t close = text.find("}}", open + 2);
    if (close == std::string_view::npos) {
      return Unexpected{fmt::format("the variable at offset {} is not closed by }}}}", open)};
    }
    if (result.segments_.size() == template_variables_max) {
      return Unexpected{fmt::format("more than {} variables", template_variables_max)};
    }
    auto segment = compile_variable(text.substr(open + 2, close - open - 2), open);
    if (!segment) return Unexpected{segment.error()};
    quotes.feed(literal);
    segment->literal = literal;
    segment->quoted = quotes.quoted();
    result.segments_.push_back(std::move(*segment));
    at = close + 2;
  }
  return result;
}

}  // namespace tocsin::render
