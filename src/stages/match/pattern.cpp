#include "stages/match/pattern.hpp"

#include <optional>

#include <fmt/format.h>

#include <tocsin/limits.hpp>

#include "protocol/json/text.hpp"
#include "protocol/json/validator.hpp"
#include "stages/match/operators/operator.hpp"

namespace tocsin::match {
namespace {

using Status = Result<void, std::string>;

class Compiler {
 public:
  explicit Compiler(Arena& arena) : arena_(arena) {}

  Result<Pattern, std::string> compile(json::Value root) {
    if (root.kind() != json::Kind::object) {
      return Unexpected{std::string("a pattern must be a JSON object")};
    }
    if (Status status = object(root); !status) return Unexpected{status.error()};
    return std::move(pattern_);
  }

 private:
  struct Member {
    std::string_view key;
    json::Value value;
  };

  template <class... Args>
  Unexpected<std::string> refuse(fmt::format_string<Args...> format, Args&&... args) const {
    std::string where;
    for (const std::string_view key : path_) {
      if (!where.empty()) where += '.';
      where += key;
    }
    std::string message = fmt::format(format, std::forward<Args>(args)...);
    if (where.empty()) return Unexpected{std::move(message)};
    return Unexpected{fmt::format("field \"{}\": {}", where, message)};
  }

  /// The members of an object in order, the last one of each key.
  std::vector<Member> members_of(json::Value object) {
    std::vector<Member> members;
    for (json::Members m(object); m.next();) {
      std::string buffer(m.key().size(), '\0');
      const std::string_view key = *json::unescape(m.key(), buffer);
      std::erase_if(members, [&](const Member& earlier) { return earlier.key == key; });
      members.push_back({arena_.store(key), m.value()});
    }
    return members;
  }

  Status object(json::Value value) {
    if (path_.size() >= pattern_depth_max) {
      return refuse("nested deeper than {} levels", pattern_depth_max);
    }
    const auto members = members_of(value);
    if (members.empty()) {
      return refuse("an empty object matches nothing; name a field or leave the pattern out");
    }
    for (const Member& member : members) {
      path_.push_back(member.key);
      if (Status status = field(member.value); !status) return status;
      path_.pop_back();
    }
    return {};
  }

  Status field(json::Value value) {
    if (path_.back() == "$or") return refuse("the operator $or is not supported yet");
    if (value.kind() == json::Kind::object) return object(value);
    if (value.kind() != json::Kind::array) {
      return refuse("needs an array of alternatives, such as [{}]", value.text());
    }
    if (pattern_.fields.size() >= pattern_fields_max) {
      return refuse("a pattern may have at most {} fields", pattern_fields_max);
    }
    PatternField compiled{path_, {}, false};
    for (json::Elements e(value); e.next();) {
      if (++alternatives_ > pattern_alternatives_max) {
        return refuse("a pattern may have at most {} alternatives", pattern_alternatives_max);
      }
      if (Status status = alternative(e.value(), compiled); !status) return status;
    }
    if (compiled.present.empty() && !compiled.absent_accepted) {
      return refuse("an empty array matches nothing");
    }
    if (compiled.absent_accepted && !compiled.present.empty() &&
        ++mixed_fields_ > pattern_mixed_fields_max) {
      return refuse("at most {} fields may accept both a value and its absence",
                    pattern_mixed_fields_max);
    }
    pattern_.fields.push_back(std::move(compiled));
    return {};
  }

  Status alternative(json::Value value, PatternField& field) {
    if (value.kind() == json::Kind::array) return refuse("arrays in arrays are not allowed");
    if (value.kind() != json::Kind::object) return add(exact_operator(), value, field);
    const auto members = members_of(value);
    if (members.size() != 1) {
      return refuse("an operator object needs exactly one operator, this one has {}",
                    members.size());
    }
    const std::string_view name = members[0].key;
    const OperatorType* type = find_operator(name);
    if (type != nullptr) return add(*type, members[0].value, field);
    if (is_future_operator(name)) return refuse("the operator {} is not supported yet", name);
    return refuse("there is no operator \"{}\"", name);
  }

  Status add(const OperatorType& type, json::Value operand, PatternField& field) {
    auto predicate = type.compile(operand, arena_);
    if (!predicate) return refuse("{} {}", type.name, predicate.error());
    predicate->type = &type;
    if (predicate->absent) {
      field.absent_accepted = true;
    } else {
      field.present.push_back(*predicate);
    }
    return {};
  }

  Arena& arena_;
  Pattern pattern_;
  std::vector<std::string_view> path_;
  std::size_t alternatives_ = 0;
  std::size_t mixed_fields_ = 0;
};

}  // namespace

Result<Pattern, std::string> Pattern::compile(std::string_view text, Arena& arena) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return Pattern{};
  if (text.size() > pattern_size_max) {
    return Unexpected{
        fmt::format("a pattern of {} bytes is over the {} allowed", text.size(), pattern_size_max)};
  }
  std::string padded(text);
  padded.append(json_padding, ' ');
  json::Validator validator(text.size());
  const auto document = validator.validate(std::string_view{padded}.substr(0, text.size()));
  if (!document) {
    return Unexpected{fmt::format("not valid JSON: {}", json::to_string(document.error()))};
  }
  return Compiler(arena).compile(document->root());
}

}  // namespace tocsin::match
