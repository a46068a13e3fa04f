#pragma once
// The last message of each topic that retains one (MQTT 5.0 section 3.3.1.3). Bounded in messages
// and bytes: at a bound the newest message is refused and counted, and what the topic had stays.
// One thread at a time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flow/topic_tree.hpp"

namespace tocsin::flow {

struct RetainedLimits {
  std::size_t count_max = 100'000;
  std::size_t bytes_max = 64U << 20U;  ///< Messages, topics and what it takes to find them.
};

class RetainedTable {
 public:
  /// Of expiry times, whatever clock the caller uses: the message stays until it is replaced.
  static constexpr std::int64_t never = INT64_MAX;

  /// `seed`: see TopicTree.
  RetainedTable(std::uint64_t seed, RetainedLimits limits);

  /// Replaces what the topic has. `bytes` is opaque and not empty; `expires_at` is the first moment
  /// when the message is gone. False when a bound refused it, or the topic has more than
  /// topic_levels_max levels.
  bool put(std::string_view topic, std::string_view bytes, std::int64_t expires_at = never);
  /// False when there was none.
  bool erase(std::string_view topic) noexcept;
  /// The topic's message unless expired; empty when there is none. Valid until the next change.
  [[nodiscard]] std::string_view find(std::string_view topic, std::int64_t now) const noexcept;

  /// Calls visit(topic, bytes, expires_at) for each message whose topic matches the valid filter
  /// and which has not expired. `topic` lives as long as the call. Allocates nothing but room for
  /// the topic. `visit` must not change the table.
  template <class Visit>
  void match(std::string_view filter, std::int64_t now, Visit&& visit) const;

  /// Looks at up to `count` places, going round, and removes what has expired. Returns the number
  /// removed.
  std::size_t drop_expired(std::int64_t now, std::size_t count) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return tree_bytes() + message_bytes_; }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  using Node = TopicTree::Node;
  struct Entry {
    std::string bytes{};  // Empty: none here.
    std::int64_t expires_at = never;
  };
  [[nodiscard]] std::size_t tree_bytes() const noexcept {
    return tree_.bytes() + tree_.size() * sizeof(Entry);
  }
  [[nodiscard]] bool fits(const TopicLevels& levels, const Entry* old,
                          std::string_view bytes) const noexcept;
  void clear(Node node) noexcept;
  [[nodiscard]] std::string topic_of(Node node) const;
  template <class Visit>
  void visit_one(Node node, std::int64_t now, Visit&& visit) const;
  template <class Visit>
  void visit_below(Node top, std::int64_t now, Visit&& visit) const;
  [[nodiscard]] Node first_match(Node parent, std::string_view level) const noexcept;
  [[nodiscard]] Node skip_dollar(Node parent, Node child) const noexcept;
  [[nodiscard]] Node next_match(Node node, std::size_t depth,
                                const TopicLevels& filter) const noexcept;

  TopicTree tree_;
  std::vector<Entry> entries_;  // By node.
  RetainedLimits limits_;
  std::size_t size_ = 0;
  std::size_t message_bytes_ = 0;
  std::uint64_t refused_ = 0;
  std::size_t sweep_at_ = 0;
};

template <class Visit>
void RetainedTable::visit_one(Node node, std::int64_t now, Visit&& visit) const {
  const Entry& entry = entries_[node];
  if (entry.bytes.empty() || entry.expires_at <= now) return;
  visit(std::string_view(topic_of(node)), std::string_view(entry.bytes), entry.expires_at);
}

// `top` and everything below it, in pre-order; the links lead back, so there is no stack.
template <class Visit>
void RetainedTable::visit_below(Node top, std::int64_t now, Visit&& visit) const {
  Node node = top;
  for (;;) {
    visit_one(node, now, visit);
    Node next = skip_dollar(node, tree_.first_child(node));
    while (next == TopicTree::none && node != top) {
      const Node parent = tree_.parent(node);
      next = skip_dollar(parent, tree_.next_sibling(node));
      node = parent;
    }
    if (next == TopicTree::none) return;
    node = next;
  }
}

template <class Visit>
void RetainedTable::match(std::string_view filter, std::int64_t now, Visit&& visit) const {
  const TopicLevels levels(filter);
  if (levels.deeper) return;
  Node node = TopicTree::root;
  std::size_t depth = 0;
  while (node != TopicTree::none) {
    Node child = TopicTree::none;
    if (depth == levels.count) {
      visit_one(node, now, visit);
    } else if (levels.level[depth] == "#") {
      visit_below(node, now, visit);
    } else {
      child = first_match(node, levels.level[depth]);
    }
    if (child != TopicTree::none) {
      node = child;
      ++depth;
      continue;
    }
    // Back to the nearest "+" that has another child.
    Node next = TopicTree::none;
    while (depth > 0 && next == TopicTree::none) {
      next = next_match(node, depth, levels);
      if (next != TopicTree::none) break;
      node = tree_.parent(node);
      --depth;
    }
    node = next;
  }
}

}  // namespace tocsin::flow
