#pragma once
// Topics and topic filters as a tree of levels: what the subscription trie and the retained table
// are built on. Nodes are numbers, so that a user keeps its own data beside them in a vector.
// Children are found through one hash table for the whole tree: an edge costs one probe, however
// many siblings there are.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::flow {

/// Deepest topic filter that is accepted, in levels. Bounds stacks on the data path; deeper topics
/// can still be matched by "#".
inline constexpr std::size_t topic_levels_max = 128;

/// A topic or filter, cut at its slashes. Views into the text.
struct TopicLevels {
  explicit TopicLevels(std::string_view text) noexcept;

  std::size_t count;  ///< Only the first topic_levels_max are kept when `deeper`.
  bool deeper;
  std::array<std::string_view, topic_levels_max> level;  // Not initialized beyond `count`.
};

class TopicTree {
 public:
  using Node = std::uint32_t;
  static constexpr Node root = 0;
  static constexpr Node none = UINT32_MAX;

  /// `seed` keeps strangers from choosing topics that collide.
  explicit TopicTree(std::uint64_t seed);

  /// Nothing is allocated.
  [[nodiscard]] Node find(Node parent, std::string_view level) const noexcept {
    return find_hashed(parent, level, level_hash(level));
  }
  [[nodiscard]] std::uint64_t level_hash(std::string_view level) const noexcept;
  /// For one level under many parents. `hash` is level_hash(level).
  [[nodiscard]] Node find_hashed(Node parent, std::string_view level,
                                 std::uint64_t hash) const noexcept;
  /// The node of the whole text, or none.
  [[nodiscard]] Node find_path(const TopicLevels& levels) const noexcept;
  /// Bytes that make_path() would add.
  [[nodiscard]] std::size_t path_cost(const TopicLevels& levels) const noexcept;
  /// The same for an empty tree.
  [[nodiscard]] static std::size_t path_cost_max(const TopicLevels& levels) noexcept;
  /// Creates what is missing. `levels` must not be `deeper`.
  Node make_path(const TopicLevels& levels);
  /// Removes the node and then its ancestors, as long as they have no children and `idle(node)`.
  template <class Idle>
  void prune(Node node, const Idle& idle) noexcept {
    while (node != root && nodes_[node].first_child == none && idle(node)) {
      const Node parent = nodes_[node].parent;
      remove(node);
      node = parent;
    }
  }

  [[nodiscard]] Node parent(Node node) const noexcept { return nodes_[node].parent; }
  [[nodiscard]] Node first_child(Node node) const noexcept { return nodes_[node].first_child; }
  [[nodiscard]] Node next_sibling(Node node) const noexcept { return nodes_[node].next; }
  [[nodiscard]] std::string_view text(Node node) const noexcept { return nodes_[node].text; }
  /// Node numbers are below this; users size their vectors by it after make_path().
  [[nodiscard]] std::size_t capacity() const noexcept { return nodes_.size(); }
  /// Nodes in use, without the root.
  [[nodiscard]] std::size_t size() const noexcept { return used_; }
  /// Memory of the nodes in use, about.
  [[nodiscard]] std::size_t bytes() const noexcept { return used_ * node_bytes + text_bytes_; }

 private:
  struct Entry {
    std::string text{};
    Node parent = none;
    Node first_child = none;
    Node next = none;
    Node previous = none;
    std::uint32_t hash = 0;  // Of parent and text.
  };
  struct Slot {
    std::uint32_t hash = 0;
    Node node = none;
  };
  // An entry, and its slot in a table that is half full.
  static constexpr std::size_t node_bytes = sizeof(Entry) + 2 * sizeof(Slot);
  static std::size_t text_cost(std::string_view text) noexcept;
  static std::uint32_t edge_hash(Node parent, std::uint64_t level_hash) noexcept;

  Node add(Node parent, std::string_view level);
  void remove(Node node) noexcept;
  void place(std::uint32_t hash, Node node) noexcept;
  void unplace(Node node) noexcept;

  std::uint64_t seed_;
  std::vector<Entry> nodes_;
  std::vector<Slot> slots_;  // Open addressing, linear; a power of two, at most half full.
  Node free_ = none;         // Linked through `next`.
  std::size_t used_ = 0;
  std::size_t text_bytes_ = 0;
};

}  // namespace tocsin::flow
