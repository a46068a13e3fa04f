#include "stages/match/rule_set.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "stages/match/selectivity.hpp"

namespace tocsin::match {

Result<std::shared_ptr<const RuleSet>, std::string> RuleSet::compile(
    std::span<const flow::RuleConfig> rules, std::uint64_t seed) {
  std::shared_ptr<RuleSet> set(new RuleSet(seed));
  set->rule_count_ = rules.size();
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!rules[i].active) continue;
    const auto pattern = Pattern::compile(rules[i].pattern, set->arena_);
    if (!pattern) {
      return Unexpected{fmt::format("rule \"{}\": pattern: {}", rules[i].name, pattern.error())};
    }
    set->add(static_cast<RuleIndex>(i), rules[i], *pattern);
  }
  set->file_all();
  return std::shared_ptr<const RuleSet>(std::move(set));
}

std::uint32_t RuleSet::store(std::span<const Predicate> predicates) {
  const auto first = static_cast<std::uint32_t>(predicates_.size());
  predicates_.insert(predicates_.end(), predicates.begin(), predicates.end());
  return first;
}

void RuleSet::add(RuleIndex rule, const flow::RuleConfig& config, const Pattern& pattern) {
  std::vector<FieldTest> shared;
  std::vector<FieldTest> mixed;  // Either present with a predicate, or absent.
  if (!config.source.empty()) {
    Predicate source;
    source.type = &exact_operator();
    source.operand = {ScalarKind::string, arena_.store(config.source), {}};
    shared.push_back({source_field, false, store({&source, 1}), 1});
  }
  for (const PatternField& field : pattern.fields) {
    const FieldTest test{trie_.insert(field.path), field.present.empty(), store(field.present),
                         static_cast<std::uint32_t>(field.present.size())};
    (field.absent_accepted && !field.present.empty() ? mixed : shared).push_back(test);
  }
  for (std::uint32_t choice = 0; choice < (1U << mixed.size()); ++choice) {
    Conjunction conjunction{rule, static_cast<std::uint32_t>(tests_.size()), 0,
                            !pattern.fields.empty()};
    tests_.insert(tests_.end(), shared.begin(), shared.end());
    for (std::size_t i = 0; i < mixed.size(); ++i) {
      FieldTest test = mixed[i];
      if ((choice & (1U << i)) != 0) test = {test.field, true, 0, 0};
      tests_.push_back(test);
    }
    conjunction.size = static_cast<std::uint16_t>(tests_.size() - conjunction.tests);
    conjunctions_.push_back(conjunction);
  }
}

void RuleSet::file_all() {
  const Selectivity selectivity(*this);
  for (std::size_t i = 0; i < conjunctions_.size(); ++i) {
    const auto owner = static_cast<ConjunctionIndex>(i);
    const FieldTest* best = nullptr;
    double best_cost = std::numeric_limits<double>::infinity();
    for (const FieldTest& test : tests(conjunctions_[i])) {
      const double cost = test.absent ? best_cost : selectivity.cost(test);
      if (cost < best_cost) {
        best = &test;
        best_cost = cost;
      }
    }
    if (best == nullptr) {
      always_.push_back(owner);
      continue;
    }
    for (const Predicate& predicate : predicates(*best)) {
      index_.file(best->field, predicate, owner);
    }
  }
  index_.freeze();
}

}  // namespace tocsin::match
