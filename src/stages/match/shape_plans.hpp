#pragma once
// Which values of the documents of a shape the rules use.

#include <cstdint>
#include <span>
#include <vector>

#include "protocol/json/shape_cache.hpp"
#include "stages/match/path_trie.hpp"
#include "stages/match/predicate.hpp"

namespace tocsin::match {

/// One value that some rule uses.
struct PlannedLeaf {
  FieldIndex field = PathTrie::no_field;
  std::uint16_t member = 0;  ///< Of the shape.
  ScalarKind kind = ScalarKind::null;
  bool is_word = false;  ///< The kind is known by its first letter.
};

/// The plans of one table's shapes, each made when it is first asked for. One thread.
class ShapePlans {
 public:
  /// The paths that rules use have changed.
  void forget() { plans_.assign(plans_.size(), {}); }
  /// Says to which table the shapes of the following calls belong.
  void begin(const json::ShapeTable& table);
  [[nodiscard]] std::span<const PlannedLeaf> plan(json::ShapeIndex index, const json::Shape& shape,
                                                  const PathTrie& trie) {
    Plan& plan = plans_[index];
    if (!plan.made) make(plan, shape, trie);
    return plan.leaves;
  }

 private:
  struct Plan {
    bool made = false;
    std::vector<PlannedLeaf> leaves;
  };
  static void make(Plan& plan, const json::Shape& shape, const PathTrie& trie);

  std::uint64_t serial_ = 0;  // Of the table; 0: of none.
  std::vector<Plan> plans_;
};

}  // namespace tocsin::match
