#pragma once
// All rules as one immutable snapshot whose cost per event does not grow with their number.
//
// Each rule becomes conjunctions of field tests. A conjunction is filed in the access index under
// all alternatives of exactly ONE of its fields, the most selective; the others are verified only
// when that one was hit. What has no field to be filed under (only exists:false, or no pattern and
// no source) is checked for every event.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "flow/catalogue.hpp"
#include "stages/match/access_index.hpp"
#include "stages/match/path_trie.hpp"
#include "stages/match/pattern.hpp"
#include "stages/match/predicate.hpp"

namespace tocsin::match {

/// Position of a rule in the list that the snapshot was compiled from.
using RuleIndex = std::uint32_t;

/// The event source's name is tested like a field of the document.
inline constexpr FieldIndex source_field = 0;

struct FieldTest {
  FieldIndex field = 0;
  bool absent = false;           ///< There must be no value; else one of the predicates must hold.
  std::uint32_t predicates = 0;  ///< First of `size` in RuleSet::predicates.
  std::uint32_t size = 0;
};

struct Conjunction {
  RuleIndex rule = 0;
  std::uint32_t tests = 0;  ///< First of `size` in RuleSet::tests.
  std::uint16_t size = 0;
  bool reads_payload = false;
};
/// The fields of a pattern, and its source.
inline constexpr std::size_t conjunction_tests_max = pattern_fields_max + 1;

class RuleSet {
 public:
  /// Compiles the active rules. `seed`: random for each process. The error names the rule.
  [[nodiscard]] static Result<std::shared_ptr<const RuleSet>, std::string> compile(
      std::span<const flow::RuleConfig> rules, std::uint64_t seed);

  /// Length of the list that was compiled, inactive rules included.
  [[nodiscard]] std::size_t rule_count() const noexcept { return rule_count_; }
  [[nodiscard]] const PathTrie& trie() const noexcept { return trie_; }
  [[nodiscard]] const AccessIndex& index() const noexcept { return index_; }
  [[nodiscard]] std::span<const Conjunction> conjunctions() const noexcept { return conjunctions_; }
  /// Conjunctions to check for every event.
  [[nodiscard]] std::span<const ConjunctionIndex> always() const noexcept { return always_; }
  [[nodiscard]] std::span<const FieldTest> tests(const Conjunction& conjunction) const noexcept {
    return std::span{tests_}.subspan(conjunction.tests, conjunction.size);
  }
  [[nodiscard]] std::span<const Predicate> predicates(const FieldTest& test) const noexcept {
    return std::span{predicates_}.subspan(test.predicates, test.size);
  }

 private:
  explicit RuleSet(std::uint64_t seed) : trie_(seed, source_field + 1), index_(seed) {}
  void add(RuleIndex rule, const flow::RuleConfig& config, const Pattern& pattern);
  std::uint32_t store(std::span<const Predicate> predicates);
  void file_all();

  Arena arena_;
  std::size_t rule_count_ = 0;
  PathTrie trie_;
  AccessIndex index_;
  std::vector<Predicate> predicates_;
  std::vector<FieldTest> tests_;
  std::vector<Conjunction> conjunctions_;
  std::vector<ConjunctionIndex> always_;
};

}  // namespace tocsin::match
