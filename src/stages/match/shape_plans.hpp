#pragma once
// Which values of the documents of a shape the rules use.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/json/shape_table.hpp"
#include "stages/match/path_trie.hpp"

namespace tocsin::match {

/// One value that some rule uses.
struct PlannedLeaf {
  FieldIndex field = PathTrie::no_field;
  std::uint16_t member = 0;  ///< Of the shape.
  json::Shape::ValueKind kind = json::Shape::ValueKind::word;
};

/// The plans of the shapes of the tables that came lately (each reactor has one), each made when it
/// is first asked for. One thread.
class ShapePlans {
 public:
  /// The paths that rules use have changed.
  void forget();
  /// Says to which table the shapes of the following calls belong.
  void begin(const json::ShapeTable& table);
  [[nodiscard]] std::span<const PlannedLeaf> plan(json::ShapeIndex index, const json::Shape& shape,
                                                  const PathTrie& trie) {
    Plan& plan = tables_[current_].plans[index];
    if (!plan.made) make(plan, shape, trie);
    return plan.leaves;
  }

 private:
  struct Plan {
    bool made = false;
    std::vector<PlannedLeaf> leaves;
  };
  struct Table {
    std::uint64_t serial = 0;  // 0: free.
    std::array<Plan, json::shapes_max> plans;
    void forget() noexcept;
  };
  static constexpr std::size_t tables_max = 8;
  static void make(Plan& plan, const json::Shape& shape, const PathTrie& trie);

  std::vector<Table> tables_;  // Made as they come.
  std::size_t current_ = 0;
  std::size_t oldest_ = 0;
};

}  // namespace tocsin::match
