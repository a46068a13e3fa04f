// Exists: whether there is a leaf at all. Objects and empty arrays are not leaves.

#include "stages/match/operators/operator.hpp"

namespace tocsin::match {
namespace {

Result<Predicate, std::string> compile_exists(json::Value operand, Arena&) {
  if (operand.kind() != json::Kind::boolean) return Unexpected{std::string("needs true or false")};
  Predicate predicate;
  predicate.absent = !operand.boolean();
  return predicate;
}

bool matches_exists(const Predicate& predicate, const Scalar&) noexcept {
  return !predicate.absent;
}

}  // namespace

extern const OperatorType operator_exists;
const OperatorType operator_exists = {.name = "exists",
                                      .access = AccessKind::any,
                                      .compile = compile_exists,
                                      .matches = matches_exists};

}  // namespace tocsin::match
