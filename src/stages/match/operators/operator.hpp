#pragma once
// What one folder below operators/ provides: how an operator is written, what it accepts and how
// the index can find it. Adding one touches its folder and one line of table.cpp.

#include <span>
#include <string>
#include <string_view>

#include <tocsin/result.hpp>

#include "protocol/json/walker.hpp"
#include "stages/match/predicate.hpp"

namespace tocsin::match {

/// How the index finds a predicate without asking it. A key may promise too much (the predicate is
/// asked afterwards), never too little.
enum class AccessKind : std::uint8_t {
  exact,   ///< operand: values equal to it.
  prefix,  ///< operand.text: strings that begin with it.
  range,   ///< [low, high].
  any,     ///< Any value at all.
};

struct OperatorType {
  std::string_view name;  ///< As patterns write it.
  AccessKind access;
  /// Compiles the operand (validated JSON); a message without the operator's name on failure.
  /// Fills everything but `type`.
  Result<Predicate, std::string> (*compile)(json::Value operand, Arena& arena);
  bool (*matches)(const Predicate& predicate, const Scalar& value) noexcept;
};

/// Copies a JSON string's characters into the arena. `value`.kind() == string.
[[nodiscard]] std::string_view store_string(json::Value value, Arena& arena);
/// Copies a JSON number into the arena. `value`.kind() == number.
[[nodiscard]] Decimal store_number(json::Value value, Arena& arena);

/// The operator of values that are written bare: ["a", 5, null].
[[nodiscard]] const OperatorType& exact_operator() noexcept;
/// Null when there is none by that name.
[[nodiscard]] const OperatorType* find_operator(std::string_view name) noexcept;
/// Names of the language that this version does not have, for a clearer refusal.
[[nodiscard]] bool is_future_operator(std::string_view name) noexcept;

}  // namespace tocsin::match
