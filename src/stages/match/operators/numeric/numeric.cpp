// Numeric: ["=", x], one bound, or a lower bound followed by an upper one.

#include "stages/match/operators/operator.hpp"

namespace tocsin::match {
namespace {

struct Comparison {
  std::string_view sign;
  Decimal bound;
};

/// Reads "sign, number" and moves on; a message when the elements are something else.
Result<Comparison, std::string> read_comparison(json::Elements& elements, Arena& arena) {
  if (elements.value().kind() != json::Kind::string) {
    return Unexpected{std::string("needs comparison signs and numbers in turn")};
  }
  const std::string_view sign = store_string(elements.value(), arena);
  if (sign != "=" && sign != "<" && sign != "<=" && sign != ">" && sign != ">=") {
    return Unexpected{"does not know the comparison \"" + std::string(sign) +
                      "\" (there are = < <= > >=)"};
  }
  if (!elements.next() || elements.value().kind() != json::Kind::number) {
    return Unexpected{"needs a number after \"" + std::string(sign) + "\""};
  }
  return Comparison{sign, store_number(elements.value(), arena)};
}

Predicate range_of(const Comparison& comparison) {
  Predicate predicate;
  predicate.low = Decimal::infinity(true);
  predicate.high = Decimal::infinity(false);
  const bool included = comparison.sign.ends_with('=');
  if (comparison.sign[0] != '<') {
    predicate.low = comparison.bound;
    predicate.low_included = included;
  }
  if (comparison.sign[0] != '>') {
    predicate.high = comparison.bound;
    predicate.high_included = included;
  }
  return predicate;
}

Result<Predicate, std::string> compile_numeric(json::Value operand, Arena& arena) {
  if (operand.kind() != json::Kind::array) {
    return Unexpected{std::string("needs an array such as [\">\", 0, \"<=\", 5]")};
  }
  json::Elements elements(operand);
  if (!elements.next()) return Unexpected{std::string("needs a comparison")};
  const auto first = read_comparison(elements, arena);
  if (!first) return Unexpected{first.error()};
  Predicate predicate = range_of(*first);
  if (!elements.next()) return predicate;
  const auto second = read_comparison(elements, arena);
  if (!second) return Unexpected{second.error()};
  if (first->sign[0] != '>' || second->sign[0] != '<') {
    return Unexpected{
        std::string("with two comparisons needs the lower bound first, then < or <=")};
  }
  if (elements.next()) return Unexpected{std::string("takes at most two comparisons")};
  if (compare(first->bound, second->bound) >= 0) {
    return Unexpected{std::string("needs a lower bound below the upper one")};
  }
  predicate.high = second->bound;
  predicate.high_included = second->sign.ends_with('=');
  return predicate;
}

bool matches_numeric(const Predicate& predicate, const Scalar& value) noexcept {
  if (value.kind != ScalarKind::number) return false;
  const auto low = compare(value.number, predicate.low);
  if (low < 0 || (low == 0 && !predicate.low_included)) return false;
  const auto high = compare(value.number, predicate.high);
  return high < 0 || (high == 0 && predicate.high_included);
}

}  // namespace

extern const OperatorType operator_numeric;
const OperatorType operator_numeric = {.name = "numeric",
                                       .access = AccessKind::range,
                                       .compile = compile_numeric,
                                       .matches = matches_numeric};

}  // namespace tocsin::match
