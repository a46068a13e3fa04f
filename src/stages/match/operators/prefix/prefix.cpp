// Prefix: strings that begin with the operand, byte by byte. The empty one matches every string.

#include "stages/match/operators/operator.hpp"

namespace tocsin::match {
namespace {

Result<Predicate, std::string> compile_prefix(json::Value operand, Arena& arena) {
  if (operand.kind() == json::Kind::object) {
    return Unexpected{std::string("with equals-ignore-case is not supported yet")};
  }
  if (operand.kind() != json::Kind::string) return Unexpected{std::string("needs a string")};
  Predicate predicate;
  predicate.operand.kind = ScalarKind::string;
  predicate.operand.text = store_string(operand, arena);
  return predicate;
}

bool matches_prefix(const Predicate& predicate, const Scalar& value) noexcept {
  return value.kind == ScalarKind::string && value.text.starts_with(predicate.operand.text);
}

}  // namespace

extern const OperatorType operator_prefix;
const OperatorType operator_prefix = {.name = "prefix",
                                      .access = AccessKind::prefix,
                                      .compile = compile_prefix,
                                      .matches = matches_prefix};

}  // namespace tocsin::match
