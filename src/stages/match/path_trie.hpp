#pragma once
// The paths that some rule uses, as a tree: it drives the walk over a document, which then visits
// nothing else.

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace tocsin::match {

using NodeIndex = std::uint32_t;
using FieldIndex = std::uint32_t;

class PathTrie {
 public:
  static constexpr NodeIndex root = 0;
  static constexpr NodeIndex no_node = UINT32_MAX;
  static constexpr FieldIndex no_field = UINT32_MAX;

  /// `seed`: secret, so that nobody can send keys that collide. Fields count from `first_field`.
  PathTrie(std::uint64_t seed, FieldIndex first_field);

  /// The field at the end of this path, made when missing. The keys must outlive the trie.
  FieldIndex insert(std::span<const std::string_view> path);

  /// The child behind a key (without escapes), or no_node.
  [[nodiscard]] NodeIndex child(NodeIndex node, std::string_view key) const noexcept {
    const Node& parent = nodes_[node];
    if ((parent.key_sizes & size_bit(key)) == 0) return no_node;
    if (parent.child_count <= children_compared_max) return compared_child(parent, key);
    return edges_[slot_of(node, key)].child;
  }
  /// The field that ends here, or no_field.
  [[nodiscard]] FieldIndex field(NodeIndex node) const noexcept { return nodes_[node].field; }
  [[nodiscard]] bool has_children(NodeIndex node) const noexcept {
    return nodes_[node].key_sizes != 0;
  }
  [[nodiscard]] std::size_t node_count() const noexcept { return nodes_.size(); }
  [[nodiscard]] FieldIndex field_end() const noexcept { return field_end_; }

 private:
  struct Node {
    FieldIndex field = no_field;
    std::uint32_t child_count = 0;
    std::uint32_t first_child = no_node;  // In children_.
    std::uint64_t key_sizes = 0;          // Bit min(size, 63): some child's key has it.
  };
  // Most nodes have few children: comparing sizes and eight bytes beats hashing the key.
  struct Child {
    std::uint64_t head = 0;
    std::string_view key;
    NodeIndex node = no_node;
    std::uint32_t next = no_node;
  };
  static constexpr std::uint32_t children_compared_max = 8;
  struct Edge {
    std::string_view key;
    NodeIndex parent = no_node;
    NodeIndex child = no_node;
  };
  [[nodiscard]] static std::uint64_t size_bit(std::string_view key) noexcept {
    return std::uint64_t{1} << (key.size() < 63 ? key.size() : 63);
  }
  // Up to eight bytes of the key, the same for equal keys and different for most others of its
  // size.
  [[nodiscard]] static std::uint64_t head_of(std::string_view key) noexcept {
    std::uint64_t word = 0;
    if (key.size() >= sizeof word) {
      std::memcpy(&word, key.data(), sizeof word);
      return word;
    }
    if (key.size() >= sizeof(std::uint32_t)) {
      std::uint32_t front = 0;
      std::uint32_t back = 0;
      std::memcpy(&front, key.data(), sizeof front);
      std::memcpy(&back, key.data() + key.size() - sizeof back, sizeof back);
      return std::uint64_t{front} << 32U | back;
    }
    for (const char c : key) word = word << 8U | static_cast<unsigned char>(c);
    return word;
  }
  [[nodiscard]] NodeIndex compared_child(const Node& node, std::string_view key) const noexcept {
    const std::uint64_t head = head_of(key);
    for (std::uint32_t at = node.first_child; at != no_node; at = children_[at].next) {
      const Child& child = children_[at];
      if (child.head != head || child.key.size() != key.size()) continue;
      if (key.size() <= sizeof head || child.key == key) return child.node;
    }
    return no_node;
  }
  [[nodiscard]] std::size_t slot_of(NodeIndex node, std::string_view key) const noexcept;
  void grow();

  std::uint64_t seed_;
  FieldIndex field_end_;
  std::vector<Node> nodes_;
  std::vector<Child> children_;  // A list for each node.
  std::vector<Edge> edges_;      // Open addressing, a power of two, at most half full.
};

}  // namespace tocsin::match
