#pragma once
// Who subscribed to what: topic filters with any number of values each, matched against topic names
// (MQTT 5.0 section 4.7). Matching costs a few probes a level and branch, whatever the number of
// subscriptions, and allocates nothing. One thread at a time.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "flow/topic_tree.hpp"

namespace tocsin::flow {

/// A sorted set of numbers; one needs no memory of its own, which is what most filters have.
class HandleSet {
 public:
  /// False when it was there already.
  bool insert(std::uint64_t value);
  /// False when it was not there.
  bool erase(std::uint64_t value) noexcept;
  [[nodiscard]] std::span<const std::uint64_t> values() const noexcept {
    return {many_ ? many_.get() : &one_, size_};
  }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t heap_bytes() const noexcept { return capacity_ * sizeof(one_); }

 private:
  std::unique_ptr<std::uint64_t[]> many_;
  std::uint64_t one_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;  // Of many_.
};

class TopicTrie {
 public:
  /// A subscription; what it means is the caller's matter (an index, a pointer).
  using Value = std::uint64_t;

  enum class Inserted : std::uint8_t {
    added,
    present,   ///< The filter had this value already; nothing changed.
    too_deep,  ///< More than topic_levels_max levels.
    full,      ///< `values_max` reached.
  };

  /// `seed`: see TopicTree. At most `values_max` subscriptions.
  explicit TopicTrie(std::uint64_t seed, std::size_t values_max = SIZE_MAX);

  /// `filter` is valid (topic_filter_valid) and has no "$share" part.
  [[nodiscard]] Inserted insert(std::string_view filter, Value value);
  /// False when the filter did not have it.
  bool erase(std::string_view filter, Value value) noexcept;

  /// Calls visit(value) for each value of each filter that matches; a value that several filters
  /// have comes once for each. `topic` is a valid topic name. `visit` must not change the trie.
  template <class Visit>
  void match(std::string_view topic, Visit&& visit) const;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Memory in use, about.
  [[nodiscard]] std::size_t bytes() const noexcept;
  /// What insert() would add to bytes(), at most but for a filter that many values share.
  [[nodiscard]] std::size_t insert_cost(std::string_view filter) const noexcept;
  /// The same for a trie that has nothing in common with the filter.
  [[nodiscard]] static std::size_t insert_cost_max(std::string_view filter) noexcept;

 private:
  using Node = TopicTree::Node;
  struct Entry {
    HandleSet here;               // Filters that end in this level.
    HandleSet below;              // Filters that go on with "#" and so match this level, too.
    Node plus = TopicTree::none;  // The child "+", to save a probe.
  };
  // A filter without its last level if that is "#".
  struct Place {
    TopicLevels levels;
    bool open;
  };
  static Place place_of(std::string_view filter) noexcept;
  void prune(Node node) noexcept;

  TopicTree tree_;
  std::vector<Entry> entries_;  // By node.
  std::size_t values_max_;
  std::size_t size_ = 0;
  std::size_t heap_bytes_ = 0;
};

template <class Visit>
void TopicTrie::match(std::string_view topic, Visit&& visit) const {
  const auto visit_all = [&](const HandleSet& set) {
    for (const Value value : set.values()) visit(value);
  };
  const TopicLevels levels(topic);
  std::array<std::uint64_t, topic_levels_max> hashes;
  for (std::size_t i = 0; i < levels.count; ++i) hashes[i] = tree_.level_hash(levels.level[i]);

  struct Step {
    Node node;
    std::uint32_t depth;
  };
  // Every step replaces itself by at most two, one level deeper: the stack grows by one a level.
  std::array<Step, topic_levels_max + 2> stack;
  std::size_t top = 0;
  stack[top++] = {TopicTree::root, 0};
  // Section 4.7.2: a leading wildcard does not match topics that begin with "$".
  bool wildcards = !topic.starts_with('$');
  while (top > 0) {
    const Step step = stack[--top];
    const Entry& entry = entries_[step.node];
    if (wildcards) visit_all(entry.below);
    if (step.depth == levels.count) {
      // Of a deeper topic than any filter only the open ones match.
      if (!levels.deeper) visit_all(entry.here);
      continue;
    }
    if (wildcards && entry.plus != TopicTree::none) stack[top++] = {entry.plus, step.depth + 1};
    wildcards = true;
    const Node child = tree_.find_hashed(step.node, levels.level[step.depth], hashes[step.depth]);
    if (child != TopicTree::none) stack[top++] = {child, step.depth + 1};
  }
}

}  // namespace tocsin::flow
