#pragma once
// For tests: the pattern language interpreted straight from both JSON texts, without an index, a
// compiled form or cleverness. The matcher must agree with it.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/json/text.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::match::reference {

/// Array and element index, outermost first.
using Membership = std::vector<std::pair<int, int>>;

struct Leaf {
  json::Value value;
  Membership membership;
};
/// The key sequence with its sizes, so that dots in keys mean nothing.
using Path = std::vector<std::string>;
using Leaves = std::map<Path, std::vector<Leaf>>;

inline std::string characters(std::string_view raw) {
  std::string buffer(raw.size(), '\0');
  return std::string(*json::unescape(raw, buffer));
}

inline std::vector<std::pair<std::string, json::Value>> members(json::Value object) {
  std::vector<std::pair<std::string, json::Value>> all;
  for (json::Members m(object); m.next();) {
    const std::string key = characters(m.key());
    std::erase_if(all, [&](const auto& earlier) { return earlier.first == key; });
    all.emplace_back(key, m.value());
  }
  return all;
}

inline void flatten(json::Value value, Path& path, const Membership& membership, int& arrays,
                    Leaves& out) {
  if (value.kind() == json::Kind::object) {
    for (const auto& [key, inner] : members(value)) {
      path.push_back(key);
      flatten(inner, path, membership, arrays, out);
      path.pop_back();
    }
  } else if (value.kind() == json::Kind::array) {
    const int array = arrays++;
    int index = 0;
    for (json::Elements e(value); e.next(); ++index) {
      Membership inner = membership;
      const json::Kind kind = e.value().kind();
      if (kind == json::Kind::object || kind == json::Kind::array) inner.emplace_back(array, index);
      flatten(e.value(), path, inner, arrays, out);
    }
  } else {
    out[path].push_back({value, membership});
  }
}

inline bool consistent(const Membership& a, const Membership& b) {
  for (const auto& [array, index] : a) {
    for (const auto& [other_array, other_index] : b) {
      if (array == other_array && index != other_index) return false;
    }
  }
  return true;
}

/// A number as sign, digits without zeros at the ends, and the exponent of "0.digits".
struct Number {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
};

// As far as 64 bits go: with a larger one only zeros are valid, or as good as zero.
inline std::int64_t exponent_of(std::string_view text) {
  constexpr std::int64_t most = 1'000'000'000'000'000;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  for (const char digit : text) value = std::min(value * 10 + (digit - '0'), most);
  return negative ? -value : value;
}

inline Number number_of(std::string_view token) {
  Number n;
  const std::size_t e = token.find_first_of("eE");
  std::string mantissa(token.substr(0, e));
  if (e != std::string_view::npos) n.exponent = exponent_of(token.substr(e + 1));
  if (mantissa.starts_with('-')) {
    n.negative = true;
    mantissa.erase(0, 1);
  }
  const std::size_t dot = mantissa.find('.');
  n.exponent += static_cast<std::int64_t>(dot == std::string::npos ? mantissa.size() : dot);
  std::erase(mantissa, '.');
  while (mantissa.starts_with('0')) {
    mantissa.erase(0, 1);
    --n.exponent;
  }
  while (mantissa.ends_with('0')) mantissa.pop_back();
  n.digits = mantissa;
  if (n.digits.empty()) n = {};
  return n;
}

/// Negative, zero or positive as a < b, a = b, a > b.
inline int compare(std::string_view left, std::string_view right) {
  const Number a = number_of(left);
  const Number b = number_of(right);
  if (a.digits.empty() && b.digits.empty()) return 0;
  if (a.digits.empty()) return b.negative ? 1 : -1;
  if (b.digits.empty()) return a.negative ? -1 : 1;
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int order = a.exponent < b.exponent ? -1 : a.exponent > b.exponent ? 1 : 0;
  if (order == 0) order = a.digits.compare(b.digits);
  return a.negative ? -order : order;
}

inline bool accepts(json::Value alternative, json::Value value) {
  const json::Kind kind = value.kind();
  if (alternative.kind() != json::Kind::object) {
    if (alternative.kind() != kind) return false;
    if (kind == json::Kind::string) {
      return characters(alternative.raw_string()) == characters(value.raw_string());
    }
    if (kind == json::Kind::number) return compare(alternative.text(), value.text()) == 0;
    return kind == json::Kind::null || alternative.boolean() == value.boolean();
  }
  const auto [name, operand] = members(alternative).at(0);
  if (name == "exists") return operand.boolean();
  if (name == "exactly") return accepts(operand, value);
  if (name == "prefix") {
    return kind == json::Kind::string &&
           characters(value.raw_string()).starts_with(characters(operand.raw_string()));
  }
  if (kind != json::Kind::number) return false;
  json::Elements e(operand);
  while (e.next()) {
    const std::string sign = characters(e.value().raw_string());
    static_cast<void>(e.next());
    const int order = compare(value.text(), e.value().text());
    const bool holds = (order == 0 && sign.ends_with('=')) || (order < 0 && sign[0] == '<') ||
                       (order > 0 && sign[0] == '>');
    if (!holds) return false;
  }
  return true;
}

inline bool accepts_absence(json::Value alternative) {
  if (alternative.kind() != json::Kind::object) return false;
  const auto [name, operand] = members(alternative).at(0);
  return name == "exists" && !operand.boolean();
}

using Fields = std::vector<std::pair<Path, json::Value>>;

inline void fields_of(json::Value pattern, Path& path, Fields& out) {
  for (const auto& [key, value] : members(pattern)) {
    path.push_back(key);
    if (value.kind() == json::Kind::object) {
      fields_of(value, path, out);
    } else {
      out.emplace_back(path, value);
    }
    path.pop_back();
  }
}

/// Tries every choice of a value, or of absence, for every field.
inline bool choose(const Fields& fields, std::size_t at, const Leaves& leaves,
                   std::vector<Membership>& chosen, std::vector<const Path*>& absent) {
  if (at == fields.size()) {
    return std::ranges::none_of(absent, [&](const Path* path) {
      const auto it = leaves.find(*path);
      if (it == leaves.end()) return false;
      return std::ranges::any_of(it->second, [&](const Leaf& leaf) {
        return std::ranges::all_of(
            chosen, [&](const Membership& m) { return consistent(m, leaf.membership); });
      });
    });
  }
  const auto& [path, alternatives] = fields[at];
  for (json::Elements e(alternatives); e.next();) {
    if (accepts_absence(e.value())) {
      absent.push_back(&path);
      if (choose(fields, at + 1, leaves, chosen, absent)) return true;
      absent.pop_back();
      continue;
    }
    const auto it = leaves.find(path);
    if (it == leaves.end()) continue;
    for (const Leaf& leaf : it->second) {
      const bool fits =
          accepts(e.value(), leaf.value) && std::ranges::all_of(chosen, [&](const Membership& m) {
            return consistent(m, leaf.membership);
          });
      if (!fits) continue;
      chosen.push_back(leaf.membership);
      if (choose(fields, at + 1, leaves, chosen, absent)) return true;
      chosen.pop_back();
    }
  }
  return false;
}

/// `pattern`: one that Pattern::compile accepts. Time grows with the power of its fields.
inline bool matches(json::Value pattern, json::Value event) {
  Path path;
  Leaves leaves;
  int arrays = 0;
  if (event.kind() == json::Kind::object) flatten(event, path, {}, arrays, leaves);
  Fields fields;
  fields_of(pattern, path, fields);
  std::vector<Membership> chosen;
  std::vector<const Path*> absent;
  return choose(fields, 0, leaves, chosen, absent);
}

}  // namespace tocsin::match::reference
