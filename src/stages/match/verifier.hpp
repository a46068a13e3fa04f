#pragma once
// Decides whether one conjunction holds for one document, by the values themselves.
//
// With arrays of objects, values must come from the same element (array consistency): there must
// be a choice of one accepted value per field such that no two come from different elements of one
// array, and a field that must be absent has no value that could stand beside them.

#include <array>
#include <cstdint>
#include <vector>

#include "stages/match/leaves.hpp"
#include "stages/match/rule_set.hpp"

namespace tocsin::match {

/// Scratch of one worker, reused.
class Verifier {
 public:
  [[nodiscard]] bool holds(const RuleSet& rules, const Conjunction& conjunction,
                           LeafSet& leaves);

 private:
  using TestMask = std::uint64_t;
  struct Range {
    const ScopeIndex* begin;
    const ScopeIndex* end;
  };
  static_assert(conjunction_tests_max <= 64, "tests of a conjunction are bits of a mask");

  bool holds_flat(const RuleSet& rules, const Conjunction& conjunction,
                  LeafSet& leaves) const;
  bool holds_in_arrays(const RuleSet& rules, const Conjunction& conjunction, LeafSet& leaves);
  bool satisfy(ScopeIndex scope, TestMask present, TestMask absent) const;
  bool place_below(ScopeIndex scope, TestMask below, TestMask absent) const;
  bool place_group(ScopeIndex scope, std::size_t leader, TestMask group, TestMask absent) const;
  [[nodiscard]] Range inside(std::size_t test, ScopeIndex scope) const noexcept;
  [[nodiscard]] Range below(std::size_t test, ScopeIndex scope) const noexcept;
  [[nodiscard]] ScopeIndex child_towards(ScopeIndex scope, ScopeIndex target) const noexcept;

  std::span<const Scope> scopes_;
  std::vector<ScopeIndex> found_;  // Scopes of the values of test 0, test 1, ...; each part sorted.
  std::array<std::size_t, conjunction_tests_max + 1> parts_{};
};

}  // namespace tocsin::match
