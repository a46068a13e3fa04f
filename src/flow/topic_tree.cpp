#include "flow/topic_tree.hpp"

#include <cassert>
#include <utility>

#include "base/hash.hpp"

namespace tocsin::flow {

// The levels beyond `count` stay uninitialized: clearing two kilobytes would cost more than most
// matches.
// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
TopicLevels::TopicLevels(std::string_view text) noexcept : count(0), deeper(false) {
  for (;;) {
    if (count == topic_levels_max) {
      deeper = true;
      return;
    }
    const std::size_t slash = text.find('/');
    level[count++] = text.substr(0, slash);
    if (slash == std::string_view::npos) return;
    text.remove_prefix(slash + 1);
  }
}

TopicTree::TopicTree(std::uint64_t seed) : seed_(seed), nodes_(1), slots_(16) {}

std::uint64_t TopicTree::level_hash(std::string_view level) const noexcept {
  return hash64(level, seed_);
}

std::uint32_t TopicTree::edge_hash(Node parent, std::uint64_t level_hash) noexcept {
  return static_cast<std::uint32_t>(detail::mix(level_hash + parent, 0x9E3779B97F4A7C15));
}

std::size_t TopicTree::text_cost(std::string_view text) noexcept {
  constexpr std::size_t inline_max = 15;  // What std::string keeps without an allocation.
  return text.size() > inline_max ? text.size() + 1 : 0;
}

TopicTree::Node TopicTree::find_hashed(Node parent, std::string_view level,
                                       std::uint64_t hash) const noexcept {
  const std::uint32_t wanted = edge_hash(parent, hash);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = wanted & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.node == none) return none;
    if (slot.hash != wanted) continue;
    const Entry& entry = nodes_[slot.node];
    if (entry.parent == parent && entry.text == level) return slot.node;
  }
}

TopicTree::Node TopicTree::find_path(const TopicLevels& levels) const noexcept {
  if (levels.deeper) return none;
  Node node = root;
  for (std::size_t i = 0; i < levels.count && node != none; ++i) {
    node = find(node, levels.level[i]);
  }
  return node;
}

std::size_t TopicTree::path_cost(const TopicLevels& levels) const noexcept {
  std::size_t cost = 0;
  Node node = root;
  for (std::size_t i = 0; i < levels.count; ++i) {
    if (node != none) node = find(node, levels.level[i]);
    if (node == none) cost += node_bytes + text_cost(levels.level[i]);
  }
  return cost;
}

std::size_t TopicTree::path_cost_max(const TopicLevels& levels) noexcept {
  std::size_t cost = 0;
  for (std::size_t i = 0; i < levels.count; ++i) cost += node_bytes + text_cost(levels.level[i]);
  return cost;
}

TopicTree::Node TopicTree::make_path(const TopicLevels& levels) {
  assert(!levels.deeper);
  Node node = root;
  for (std::size_t i = 0; i < levels.count; ++i) {
    const Node child = find(node, levels.level[i]);
    node = child != none ? child : add(node, levels.level[i]);
  }
  return node;
}

TopicTree::Node TopicTree::add(Node parent, std::string_view level) {
  if ((used_ + 1) * 2 > slots_.size()) {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    for (const Slot& slot : old) {
      if (slot.node != none) place(slot.hash, slot.node);
    }
  }
  Node node = free_;
  if (node != none) {
    free_ = nodes_[node].next;
  } else {
    node = static_cast<Node>(nodes_.size());
    nodes_.emplace_back();
  }
  Entry& entry = nodes_[node];
  entry.text = level;
  entry.parent = parent;
  entry.hash = edge_hash(parent, level_hash(level));
  entry.previous = none;
  entry.next = nodes_[parent].first_child;
  if (entry.next != none) nodes_[entry.next].previous = node;
  nodes_[parent].first_child = node;
  place(entry.hash, node);
  ++used_;
  text_bytes_ += text_cost(level);
  return node;
}

void TopicTree::remove(Node node) noexcept {
  Entry& entry = nodes_[node];
  assert(node != root && entry.first_child == none);
  unplace(node);
  if (entry.next != none) nodes_[entry.next].previous = entry.previous;
  if (entry.previous != none) {
    nodes_[entry.previous].next = entry.next;
  } else {
    nodes_[entry.parent].first_child = entry.next;
  }
  text_bytes_ -= text_cost(entry.text);
  --used_;
  entry = Entry{};
  entry.next = free_;
  free_ = node;
}

void TopicTree::place(std::uint32_t hash, Node node) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].node != none) at = (at + 1) & mask;
  slots_[at] = {hash, node};
}

// Closes the gap by moving later slots of the run back, so that no tombstones pile up.
void TopicTree::unplace(Node node) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t gap = nodes_[node].hash & mask;
  while (slots_[gap].node != node) gap = (gap + 1) & mask;
  for (std::size_t at = (gap + 1) & mask; slots_[at].node != none; at = (at + 1) & mask) {
    const std::size_t home = slots_[at].hash & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    slots_[gap] = slots_[at];
    gap = at;
  }
  slots_[gap] = Slot{};
}

}  // namespace tocsin::flow
