#include "stages/match/path_trie.hpp"

#include <utility>

#include "base/hash.hpp"

namespace tocsin::match {

PathTrie::PathTrie(std::uint64_t seed, FieldIndex first_field)
    : seed_(seed), field_end_(first_field), nodes_(1), edges_(16) {}

FieldIndex PathTrie::insert(std::span<const std::string_view> path) {
  NodeIndex node = root;
  for (const std::string_view key : path) {
    NodeIndex next = child(node, key);
    if (next == no_node) {
      if (nodes_.size() * 2 >= edges_.size()) grow();
      next = static_cast<NodeIndex>(nodes_.size());
      nodes_.emplace_back();
      Node& parent = nodes_[node];
      parent.key_sizes |= size_bit(key);
      ++parent.child_count;
      children_.push_back({head_of(key), key, next, parent.first_child});
      parent.first_child = static_cast<std::uint32_t>(children_.size() - 1);
      edges_[slot_of(node, key)] = {key, node, next};
    }
    node = next;
  }
  if (nodes_[node].field == no_field) nodes_[node].field = field_end_++;
  return nodes_[node].field;
}

std::size_t PathTrie::slot_of(NodeIndex node, std::string_view key) const noexcept {
  const std::size_t mask = edges_.size() - 1;
  std::size_t at = static_cast<std::size_t>(hash64(key, seed_ + node)) & mask;
  while (edges_[at].child != no_node && (edges_[at].parent != node || edges_[at].key != key)) {
    at = (at + 1) & mask;
  }
  return at;
}

void PathTrie::grow() {
  std::vector<Edge> old(edges_.size() * 2);
  std::swap(old, edges_);
  for (const Edge& edge : old) {
    if (edge.child != no_node) edges_[slot_of(edge.parent, edge.key)] = edge;
  }
}

}  // namespace tocsin::match
