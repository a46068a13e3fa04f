#pragma once
// One event pattern, compiled from its JSON text (the EventBridge grammar: AND across fields, OR
// inside an array). This version knows exact values, prefix, numeric and exists; what it does not
// know it refuses by name.
//
// Paths are lists of keys, so "a.b" in a pattern is one key with a dot. Duplicate keys: the last
// counts. Numbers are exact decimals.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "stages/match/predicate.hpp"

namespace tocsin::match {

/// The complexity bounds. A pattern beyond them is refused when it is created, so that matching
/// never has to defend itself against one.
inline constexpr std::size_t pattern_size_max = 16 * 1024;
inline constexpr std::size_t pattern_depth_max = 16;
inline constexpr std::size_t pattern_fields_max = 32;
inline constexpr std::size_t pattern_alternatives_max = 1024;
/// Fields that accept both a value and its absence double the conjunctions of their rule.
inline constexpr std::size_t pattern_mixed_fields_max = 5;

/// One field of a pattern: any of its alternatives must hold.
struct PatternField {
  std::vector<std::string_view> path;  ///< Keys from the root.
  std::vector<Predicate> present;      ///< Alternatives that need a value.
  bool absent_accepted = false;        ///< exists:false stands among the alternatives.
};

/// All fields must hold.
struct Pattern {
  std::vector<PatternField> fields;  ///< Empty: everything matches.

  /// Keys, strings and numbers go to `arena`, which must outlive the pattern. Empty text is the
  /// pattern that matches everything. The error is a sentence for people that names the field.
  [[nodiscard]] static Result<Pattern, std::string> compile(std::string_view text, Arena& arena);
};

}  // namespace tocsin::match
