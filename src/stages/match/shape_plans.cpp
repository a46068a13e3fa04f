#include "stages/match/shape_plans.hpp"

#include <string>

namespace tocsin::match {
namespace {

FieldIndex field_of(const PathTrie& trie, std::span<const std::string> path) {
  NodeIndex node = PathTrie::root;
  for (const std::string& key : path) {
    node = trie.child(node, key);
    if (node == PathTrie::no_node) return PathTrie::no_field;
  }
  return trie.field(node);
}

ScalarKind kind_of(json::Shape::ValueKind kind) noexcept {
  switch (kind) {
    case json::Shape::ValueKind::string:
      return ScalarKind::string;
    case json::Shape::ValueKind::number:
      return ScalarKind::number;
    case json::Shape::ValueKind::word:
      break;
  }
  return ScalarKind::null;
}

}  // namespace

void ShapePlans::begin(const json::ShapeTable& table) {
  if (table.serial() == serial_) return;
  serial_ = table.serial();
  plans_.assign(json::shapes_max, {});
}

void ShapePlans::make(Plan& plan, const json::Shape& shape, const PathTrie& trie) {
  plan.made = true;
  const auto members = shape.members();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const FieldIndex field = field_of(trie, members[i].path);
    if (field == PathTrie::no_field) continue;
    plan.leaves.push_back({.field = field,
                           .member = static_cast<std::uint16_t>(i),
                           .kind = kind_of(members[i].kind),
                           .is_word = members[i].kind == json::Shape::ValueKind::word});
  }
}

}  // namespace tocsin::match
