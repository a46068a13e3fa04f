#pragma once
// The last message of each topic that retains one (MQTT 5.0 section 3.3.1.3). Bounded in messages
// and bytes: at a bound the newest message is refused and counted, and what the topic had stays.
// One thread at a time.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
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

  /// Where a walk() stands: its place stays in the tree, whatever becomes of the messages. Every
  /// walk ends with true from walk() or with stop(), or with the table.
  class Cursor {
   public:
    [[nodiscard]] bool begun() const noexcept { return node_ != TopicTree::none; }

   private:
    friend class RetainedTable;
    TopicTree::Node node_ = TopicTree::none;
    std::uint32_t depth_ = 0;
  };
  /// match() in pieces, between which the table may change: what has been there all the time comes
  /// exactly once, as it is by then. A place costs one of `places`, and visit() may take more from
  /// it. visit() returns false when it does not take the message: then the walk ends here, and
  /// begins with it the next time. True: that was all, and the cursor is a fresh one.
  template <class Visit>
  [[nodiscard]] bool walk(Cursor& cursor, std::string_view filter, std::int64_t now,
                          std::size_t& places, Visit&& visit);
  void stop(Cursor& cursor) noexcept;

  /// Looks at up to `count` places, going round, and removes what has expired, after gone(topic).
  /// Returns the number removed.
  template <class Gone>
  std::size_t drop_expired(std::int64_t now, std::size_t count, Gone&& gone);

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
  // A place on the way through what a filter may select, in pre-order. The links of the tree lead
  // back, so there is no stack.
  struct Place {
    Node node = TopicTree::root;
    std::uint32_t depth = 0;
  };
  [[nodiscard]] static bool selects(const Place& place, const TopicLevels& filter) noexcept;
  [[nodiscard]] Place next_place(Place place, const TopicLevels& filter) const noexcept;
  [[nodiscard]] Node first_match(const Place& place, const TopicLevels& filter) const noexcept;
  [[nodiscard]] Node next_match(const Place& place, const TopicLevels& filter) const noexcept;
  [[nodiscard]] Node skip_dollar(Node parent, Node child) const noexcept;
  void pin(Node node) { ++pins_[node]; }
  void unpin(Node node) noexcept;
  void prune(Node node) noexcept;

  TopicTree tree_;
  std::vector<Entry> entries_;  // By node.
  RetainedLimits limits_;
  std::size_t size_ = 0;
  std::size_t message_bytes_ = 0;
  std::uint64_t refused_ = 0;
  std::size_t sweep_at_ = 0;
  std::unordered_map<Node, std::uint32_t> pins_;  // Places where walks stand.
};

template <class Visit>
void RetainedTable::match(std::string_view filter, std::int64_t now, Visit&& visit) const {
  const TopicLevels levels(filter);
  if (levels.deeper) return;
  for (Place at; at.node != TopicTree::none; at = next_place(at, levels)) {
    const Entry& entry = entries_[at.node];
    if (!selects(at, levels) || entry.bytes.empty() || entry.expires_at <= now) continue;
    visit(std::string_view(topic_of(at.node)), std::string_view(entry.bytes), entry.expires_at);
  }
}

template <class Visit>
bool RetainedTable::walk(Cursor& cursor, std::string_view filter, std::int64_t now,
                         std::size_t& places, Visit&& visit) {
  const TopicLevels levels(filter);
  if (levels.deeper) return true;
  const Node pinned = cursor.node_;
  Place at;
  if (pinned != TopicTree::none) at = {.node = pinned, .depth = cursor.depth_};
  for (; at.node != TopicTree::none; at = next_place(at, levels)) {
    if (places == 0) break;
    --places;
    const Entry& entry = entries_[at.node];
    if (!selects(at, levels) || entry.bytes.empty() || entry.expires_at <= now) continue;
    const std::string topic = topic_of(at.node);
    if (!visit(std::string_view(topic), std::string_view(entry.bytes), entry.expires_at)) break;
  }
  const bool done = at.node == TopicTree::none;
  if (!done) pin(at.node);
  cursor.node_ = at.node;
  cursor.depth_ = at.depth;
  // After the next place is held: it may be all that keeps the earlier one's ancestors.
  if (pinned != TopicTree::none) unpin(pinned);
  return done;
}

template <class Gone>
std::size_t RetainedTable::drop_expired(std::int64_t now, std::size_t count, Gone&& gone) {
  std::size_t dropped = 0;
  for (std::size_t i = std::min(count, entries_.size()); i > 0; --i) {
    if (++sweep_at_ >= entries_.size()) sweep_at_ = 0;
    const Entry& entry = entries_[sweep_at_];
    if (entry.bytes.empty() || entry.expires_at > now) continue;
    const Node node = static_cast<Node>(sweep_at_);
    gone(std::string_view(topic_of(node)));
    clear(node);
    ++dropped;
  }
  return dropped;
}

}  // namespace tocsin::flow
