#include "stages/match/shape_plans.hpp"

#include <string_view>

namespace tocsin::match {
namespace {

FieldIndex field_of(const PathTrie& trie, std::span<const std::string_view> path) {
  NodeIndex node = PathTrie::root;
  for (const std::string_view key : path) {
    node = trie.child(node, key);
    if (node == PathTrie::no_node) return PathTrie::no_field;
  }
  return trie.field(node);
}

}  // namespace

void ShapePlans::Table::forget() noexcept {
  for (Plan& plan : plans) {
    plan.made = false;
    plan.leaves.clear();
  }
}

void ShapePlans::forget() {
  for (Table& table : tables_) table.forget();
}

void ShapePlans::begin(const json::ShapeTable& table) {
  for (current_ = 0; current_ < tables_.size(); ++current_) {
    if (tables_[current_].serial == table.serial()) return;
  }
  if (tables_.size() < tables_max) {
    tables_.emplace_back();
  } else {
    current_ = oldest_;
    oldest_ = (oldest_ + 1) % tables_max;
    tables_[current_].forget();
  }
  tables_[current_].serial = table.serial();
}

void ShapePlans::make(Plan& plan, const json::Shape& shape, const PathTrie& trie) {
  plan.made = true;
  const auto members = shape.members();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const FieldIndex field = field_of(trie, shape.path(members[i]));
    if (field == PathTrie::no_field) continue;
    plan.leaves.push_back({field, static_cast<std::uint16_t>(i), members[i].kind});
  }
}

}  // namespace tocsin::match
