#pragma once
// Estimates how often a field test sends a conjunction to be verified: how crowded its predicates'
// postings would be. Used while a rule set is compiled.

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "stages/match/rule_set.hpp"

namespace tocsin::match {

class Selectivity {
 public:
  /// Counts every positive test of the rules.
  explicit Selectivity(const RuleSet& rules);

  /// Smaller is better.
  [[nodiscard]] double cost(const FieldTest& test) const;

 private:
  [[nodiscard]] double cost(FieldIndex field, const Predicate& predicate) const;
  [[nodiscard]] double overlaps(FieldIndex field, const Predicate& predicate) const;

  const RuleSet& rules_;
  std::unordered_map<std::uint64_t, std::uint32_t> frequency_;
  std::map<FieldIndex, std::vector<const Predicate*>> ranges_;
};

}  // namespace tocsin::match
