#include "stages/match/selectivity.hpp"

namespace tocsin::match {
namespace {
// Weights of the kinds against each other: a value names few events, a short prefix many, and the
// mere presence of a field most.
constexpr double prefix_penalty = 64;
constexpr double range_penalty = 16;
constexpr double any_penalty = 256;
constexpr std::size_t range_samples_max = 64;
}  // namespace

Selectivity::Selectivity(const RuleSet& rules) : rules_(rules) {
  for (const Conjunction& conjunction : rules.conjunctions()) {
    for (const FieldTest& test : rules.tests(conjunction)) {
      for (const Predicate& predicate : rules.predicates(test)) {
        if (predicate.type->access == AccessKind::range) {
          ranges_[test.field].push_back(&predicate);
        } else {
          ++frequency_[rules.index().hash_of(test.field, predicate)];
        }
      }
    }
  }
}

double Selectivity::cost(const FieldTest& test) const {
  double sum = 0;
  for (const Predicate& predicate : rules_.predicates(test)) sum += cost(test.field, predicate);
  return sum;
}

double Selectivity::cost(FieldIndex field, const Predicate& predicate) const {
  if (predicate.type->access == AccessKind::range) {
    return overlaps(field, predicate) + range_penalty;
  }
  const double others = frequency_.at(rules_.index().hash_of(field, predicate));
  if (predicate.type->access == AccessKind::prefix) {
    return others + prefix_penalty / (1 + static_cast<double>(predicate.operand.text.size()));
  }
  return predicate.type->access == AccessKind::any ? others + any_penalty : others;
}

double Selectivity::overlaps(FieldIndex field, const Predicate& predicate) const {
  const auto& ranges = ranges_.at(field);
  const std::size_t stride = ranges.size() / range_samples_max + 1;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < ranges.size(); i += stride) {
    const bool apart = compare_leading(ranges[i]->high, predicate.low) < 0 ||
                       compare_leading(predicate.high, ranges[i]->low) < 0;
    if (!apart) ++hits;
  }
  return static_cast<double>(hits * stride);
}

}  // namespace tocsin::match
