#include "stages/match/verifier.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

#include "stages/match/operators/operator.hpp"

namespace tocsin::match {
namespace {
// Fields with values both directly in an element and in arrays nested below it, beside a field that
// must be absent: so many of them are tried in every combination.
constexpr int alternatives_max = 6;

bool accepted(std::span<const Predicate> predicates, const Scalar& value) noexcept {
  for (const Predicate& predicate : predicates) {
    if (predicate.type->matches(predicate, value)) return true;
  }
  return false;
}

bool any_accepted(std::span<const Predicate> predicates, LeafSet& leaves,
                  FieldIndex field) noexcept {
  for (LeafIndex i = leaves.first(field); i != LeafSet::no_leaf; i = leaves.leaf(i).next) {
    if (accepted(predicates, leaves.value(i))) return true;
  }
  return false;
}

std::size_t lowest(std::uint64_t mask) noexcept {
  return static_cast<std::size_t>(std::countr_zero(mask));
}
}  // namespace

bool Verifier::holds(const RuleSet& rules, const Conjunction& conjunction, LeafSet& leaves) {
  return leaves.scopes().size() == 1 ? holds_flat(rules, conjunction, leaves)
                                     : holds_in_arrays(rules, conjunction, leaves);
}

bool Verifier::holds_flat(const RuleSet& rules, const Conjunction& conjunction,
                          LeafSet& leaves) const {
  for (const FieldTest& test : rules.tests(conjunction)) {
    const bool holds = test.absent ? leaves.first(test.field) == LeafSet::no_leaf
                                   : any_accepted(rules.predicates(test), leaves, test.field);
    if (!holds) return false;
  }
  return true;
}

bool Verifier::holds_in_arrays(const RuleSet& rules, const Conjunction& conjunction,
                               LeafSet& leaves) {
  found_.clear();
  TestMask present = 0;
  TestMask absent = 0;
  std::size_t index = 0;
  for (const FieldTest& test : rules.tests(conjunction)) {
    assert(index < conjunction_tests_max);
    parts_[index] = found_.size();
    (test.absent ? absent : present) |= TestMask{1} << index;
    for (LeafIndex i = leaves.first(test.field); i != LeafSet::no_leaf; i = leaves.leaf(i).next) {
      if (test.absent || accepted(rules.predicates(test), leaves.value(i))) {
        found_.push_back(leaves.leaf(i).scope);
      }
    }
    if (!test.absent && found_.size() == parts_[index]) return false;
    const auto part = found_.begin() + static_cast<std::ptrdiff_t>(parts_[index]);
    if (!std::is_sorted(part, found_.end())) std::sort(part, found_.end());
    ++index;
  }
  parts_[index] = found_.size();
  scopes_ = leaves.scopes();
  return satisfy(0, present, absent);
}

Verifier::Range Verifier::inside(std::size_t test, ScopeIndex scope) const noexcept {
  const ScopeIndex* begin = found_.data() + parts_[test];
  const ScopeIndex* end = found_.data() + parts_[test + 1];
  return {std::lower_bound(begin, end, scope), std::lower_bound(begin, end, scopes_[scope].end)};
}

Verifier::Range Verifier::below(std::size_t test, ScopeIndex scope) const noexcept {
  const Range all = inside(test, scope);
  return {std::upper_bound(all.begin, all.end, scope), all.end};
}

ScopeIndex Verifier::child_towards(ScopeIndex scope, ScopeIndex target) const noexcept {
  while (scopes_[target].parent != scope) target = scopes_[target].parent;
  return target;
}

// Whether the present tests find values inside `scope`, none of the absent ones being consistent
// with them. Two arrays directly below one scope stand at different paths (a key counts once), so
// all values of one field below it lie in one array, and each array can be decided alone.
bool Verifier::satisfy(ScopeIndex scope, TestMask present, TestMask absent) const {
  for (TestMask rest = absent; rest != 0; rest &= rest - 1) {
    const Range range = inside(lowest(rest), scope);
    if (range.begin != range.end && *range.begin == scope) return false;
  }
  TestMask must_be_below = 0;
  TestMask may_be_below = 0;
  for (TestMask rest = present; rest != 0; rest &= rest - 1) {
    const std::size_t test = lowest(rest);
    const Range range = inside(test, scope);
    const bool direct = range.begin != range.end && *range.begin == scope;
    const Range deeper = below(test, scope);
    if (!direct) must_be_below |= TestMask{1} << test;
    if (direct && absent != 0 && deeper.begin != deeper.end) may_be_below |= TestMask{1} << test;
  }
  if (std::popcount(may_be_below) > alternatives_max) may_be_below = 0;
  // All subsets of may_be_below, the empty one first.
  TestMask subset = 0;
  do {
    if (place_below(scope, must_be_below | subset, absent)) return true;
    subset = (subset - may_be_below) & may_be_below;
  } while (subset != 0);
  return false;
}

bool Verifier::place_below(ScopeIndex scope, TestMask tests, TestMask absent) const {
  const auto array_of = [&](std::size_t test) -> std::uint32_t {
    const Range range = below(test, scope);
    return range.begin == range.end ? 0 : scopes_[child_towards(scope, *range.begin)].array;
  };
  while (tests != 0) {
    const std::size_t leader = lowest(tests);
    const std::uint32_t array = array_of(leader);
    if (array == 0) return false;
    TestMask group = 0;
    TestMask group_absent = 0;
    for (TestMask rest = tests; rest != 0; rest &= rest - 1) {
      if (array_of(lowest(rest)) == array) group |= rest & -rest;
    }
    for (TestMask rest = absent; rest != 0; rest &= rest - 1) {
      if (array_of(lowest(rest)) == array) group_absent |= rest & -rest;
    }
    if (!place_group(scope, leader, group, group_absent)) return false;
    tests &= ~group;
    absent &= ~group_absent;
  }
  for (; absent != 0; absent &= absent - 1) {
    if (array_of(lowest(absent)) != 0) return false;
  }
  return true;
}

bool Verifier::place_group(ScopeIndex scope, std::size_t leader, TestMask group,
                           TestMask absent) const {
  const Range range = below(leader, scope);
  for (const ScopeIndex* at = range.begin; at != range.end;) {
    const ScopeIndex element = child_towards(scope, *at);
    bool all_present = true;
    for (TestMask rest = group; rest != 0 && all_present; rest &= rest - 1) {
      const Range values = inside(lowest(rest), element);
      all_present = values.begin != values.end;
    }
    if (all_present && satisfy(element, group, absent)) return true;
    at = std::lower_bound(at, range.end, scopes_[element].end);
  }
  return false;
}

}  // namespace tocsin::match
