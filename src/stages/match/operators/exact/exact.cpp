// Exact: the same type and the same value. Numbers by value, strings by bytes.

#include "stages/match/operators/operator.hpp"

namespace tocsin::match {
namespace {

Result<Predicate, std::string> compile_exact(json::Value operand, Arena& arena) {
  Predicate predicate;
  Scalar& value = predicate.operand;
  switch (operand.kind()) {
    case json::Kind::string:
      value.kind = ScalarKind::string;
      value.text = store_string(operand, arena);
      break;
    case json::Kind::number:
      value.kind = ScalarKind::number;
      value.number = store_number(operand, arena);
      value.text = value.number.token;
      break;
    case json::Kind::boolean:
      value.kind = operand.boolean() ? ScalarKind::true_value : ScalarKind::false_value;
      break;
    case json::Kind::null:
      value.kind = ScalarKind::null;
      break;
    case json::Kind::object:
    case json::Kind::array:
      return Unexpected{std::string("needs a string, number, true, false or null")};
  }
  return predicate;
}

bool matches_exact(const Predicate& predicate, const Scalar& value) noexcept {
  if (predicate.operand.kind != value.kind) return false;
  if (value.kind == ScalarKind::string) return predicate.operand.text == value.text;
  if (value.kind == ScalarKind::number) {
    return compare(predicate.operand.number, value.number) == 0;
  }
  return true;
}

}  // namespace

extern const OperatorType operator_exact;
const OperatorType operator_exact = {.name = "exactly",
                                     .access = AccessKind::exact,
                                     .compile = compile_exact,
                                     .matches = matches_exact};

}  // namespace tocsin::match
