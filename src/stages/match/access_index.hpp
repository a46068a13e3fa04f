#pragma once
// Finds, for one value of one field, the conjunctions that are filed under a predicate which may
// accept it. Time depends on the number of those, not on the number of rules.
//
// Exact values and prefixes lie in one hash table; ranges of a field in an interval tree.

#include <array>
#include <cassert>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "stages/match/operators/operator.hpp"
#include "stages/match/path_trie.hpp"

namespace tocsin::match {

using ConjunctionIndex = std::uint32_t;

/// Static interval tree: sorted by lower end, each middle knows the largest upper end around it.
class IntervalTree {
 public:
  struct Interval {
    Decimal low;
    Decimal high;
    ConjunctionIndex owner;
  };
  void add(const Interval& interval) { intervals_.push_back(interval); }
  void freeze();
  [[nodiscard]] bool empty() const noexcept { return intervals_.empty(); }
  [[nodiscard]] std::span<const Interval> intervals() const noexcept { return intervals_; }

  /// Calls visit(owner) for each interval that holds `value`. Ends count as inside.
  template <class Visit>
  void stab(const Decimal& value, Visit&& visit) const {
    stab_range(0, intervals_.size(), value, visit);
  }

 private:
  Decimal compute_highest(std::size_t begin, std::size_t end);

  template <class Visit>
  void stab_range(std::size_t begin, std::size_t end, const Decimal& value, Visit& visit) const {
    if (begin == end) return;
    const std::size_t middle = begin + (end - begin) / 2;
    if (compare_leading(highest_[middle], value) < 0) return;
    stab_range(begin, middle, value, visit);
    if (compare_leading(intervals_[middle].low, value) > 0) return;
    if (compare_leading(intervals_[middle].high, value) >= 0) visit(intervals_[middle].owner);
    stab_range(middle + 1, end, value, visit);
  }

  std::vector<Interval> intervals_;
  std::vector<Decimal> highest_;  // Of the subtree whose middle stands here.
};

/// Prefixes are filed by their first `class` bytes, so that one value needs few probes.
inline constexpr std::array<std::size_t, 13> prefix_classes = {0,  1,  2,  3,  4,  6, 8,
                                                               12, 16, 24, 32, 48, 64};

class AccessIndex {
 public:
  /// `seed`: secret and random for each process, so that nobody can aim at one slot.
  explicit AccessIndex(std::uint64_t seed) : seed_(seed) {}

  /// Building: files a conjunction under a predicate.
  void file(FieldIndex field, const Predicate& predicate, ConjunctionIndex owner);
  void freeze();

  /// Whether anything is filed that a value like this could find; its number is not looked at.
  [[nodiscard]] bool may_find(FieldIndex field, const Scalar& value) const noexcept {
    if (field >= fields_.size()) return false;
    const Field& slot = fields_[field];
    if (slot.any || slot.exact.may_hold(value)) return true;
    if (value.kind == ScalarKind::string) return slot.prefix_classes != 0;
    return value.kind == ScalarKind::number && !slot.ranges.empty();
  }
  /// Calls visit(conjunction) for everything that may accept `value`; perhaps more than once.
  template <class Visit>
  void probe(FieldIndex field, const Scalar& value, Visit&& visit) const {
    assert(field < fields_.size());
    const Field& slot = fields_[field];
    if (slot.exact.may_hold(value)) visit_posting(exact_hash(field, value), visit);
    if (slot.any) visit_posting(any_hash(field), visit);
    if (value.kind == ScalarKind::string) {
      for (std::size_t i = 0; i < prefix_classes.size(); ++i) {
        if ((slot.prefix_classes & (1U << i)) == 0) continue;
        if (prefix_classes[i] > value.text.size()) break;
        visit_posting(prefix_hash(field, value.text, i), visit);
      }
    } else if (value.kind == ScalarKind::number && !slot.ranges.empty()) {
      slot.ranges.stab(value.number, visit);
    }
  }

  /// The slot of a predicate that is not a range. Equal predicates have equal ones.
  [[nodiscard]] std::uint64_t hash_of(FieldIndex field, const Predicate& predicate) const noexcept;

 private:
  // What exact operands of a field look like: most values differ from all of them at a glance, and
  // need no hash.
  struct ExactShapes {
    std::uint8_t kinds = 0;   // Bit: ScalarKind.
    std::uint64_t sizes = 0;  // Of strings; bit min(size, 63).
    std::uint64_t heads = 0;  // First characters of strings; bit c % 64.

    [[nodiscard]] static std::uint64_t size_bit(std::string_view text) noexcept {
      return std::uint64_t{1} << (text.size() < 63 ? text.size() : 63);
    }
    [[nodiscard]] static std::uint64_t head_bit(std::string_view text) noexcept {
      return text.empty() ? 0 : std::uint64_t{1} << (static_cast<unsigned char>(text[0]) % 64U);
    }
    void add(const Scalar& operand) noexcept {
      kinds |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(operand.kind));
      if (operand.kind != ScalarKind::string) return;
      sizes |= size_bit(operand.text);
      heads |= head_bit(operand.text);
    }
    [[nodiscard]] bool may_hold(const Scalar& value) const noexcept {
      if ((kinds >> static_cast<unsigned>(value.kind) & 1U) == 0) return false;
      if (value.kind != ScalarKind::string) return true;
      const std::uint64_t head = head_bit(value.text);
      return (sizes & size_bit(value.text)) != 0 && (heads & head) == head;
    }
  };
  struct Field {
    ExactShapes exact;
    bool any = false;
    std::uint16_t prefix_classes = 0;  // Bit i: prefix_classes[i] is in use.
    IntervalTree ranges;
  };
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t begin = 0;
    std::uint32_t size = 0;  // 0: free.
  };

  [[nodiscard]] std::uint64_t key_seed(FieldIndex field, std::uint32_t kind) const noexcept {
    return detail::mix(seed_ ^ (std::uint64_t{field} << 32U | kind), 0x9E3779B97F4A7C15);
  }
  [[nodiscard]] std::uint64_t exact_hash(FieldIndex field, const Scalar& value) const noexcept;
  [[nodiscard]] std::uint64_t any_hash(FieldIndex field) const noexcept {
    return key_seed(field, 16);
  }
  [[nodiscard]] std::uint64_t prefix_hash(FieldIndex field, std::string_view text,
                                          std::size_t size_class) const noexcept {
    return hash64(text.substr(0, prefix_classes[size_class]),
                  key_seed(field, 32 + static_cast<std::uint32_t>(size_class)));
  }

  template <class Visit>
  void visit_posting(std::uint64_t hash, Visit& visit) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask; slots_[at].size != 0; at = (at + 1) & mask) {
      if (slots_[at].hash != hash) continue;
      for (std::uint32_t i = 0; i < slots_[at].size; ++i) visit(postings_[slots_[at].begin + i]);
      return;
    }
  }

  std::uint64_t seed_;
  std::vector<Field> fields_;
  std::vector<std::pair<std::uint64_t, ConjunctionIndex>> filed_;  // Until freeze().
  std::vector<Slot> slots_;  // Open addressing, a power of two, at most half full.
  std::vector<ConjunctionIndex> postings_;
};

}  // namespace tocsin::match
