#include "flow/retained_table.hpp"

#include <algorithm>
#include <cassert>

namespace tocsin::flow {

RetainedTable::RetainedTable(std::uint64_t seed, RetainedLimits limits)
    : tree_(seed), entries_(1), limits_(limits) {}

bool RetainedTable::fits(const TopicLevels& levels, const Entry* old,
                         std::string_view bytes) const noexcept {
  const bool replaces = old != nullptr && !old->bytes.empty();
  if (!replaces && size_ >= limits_.count_max) return false;
  std::size_t new_nodes_bytes = 0;
  if (old == nullptr) {
    // Entries beside the nodes: at most one a level.
    new_nodes_bytes = tree_.path_cost(levels) + levels.count * sizeof(Entry);
  }
  const std::size_t freed = replaces ? old->bytes.size() : 0;
  return this->bytes() - freed + new_nodes_bytes + bytes.size() <= limits_.bytes_max;
}

bool RetainedTable::put(std::string_view topic, std::string_view bytes, std::int64_t expires_at) {
  assert(!topic.empty() && !bytes.empty());
  const TopicLevels levels(topic);
  Node node = tree_.find_path(levels);
  const Entry* const old = node != TopicTree::none ? &entries_[node] : nullptr;
  if (levels.deeper || !fits(levels, old, bytes)) {
    ++refused_;
    return false;
  }
  if (node == TopicTree::none) node = tree_.make_path(levels);
  if (entries_.size() < tree_.capacity()) entries_.resize(tree_.capacity());
  Entry& entry = entries_[node];
  size_ += entry.bytes.empty() ? 1 : 0;
  message_bytes_ += bytes.size();
  message_bytes_ -= entry.bytes.size();
  // A new string: assigning would keep the room of the largest message ever.
  entry.bytes = std::string(bytes);
  entry.expires_at = expires_at;
  return true;
}

bool RetainedTable::erase(std::string_view topic) noexcept {
  const Node node = tree_.find_path(TopicLevels(topic));
  if (node == TopicTree::none || entries_[node].bytes.empty()) return false;
  clear(node);
  return true;
}

void RetainedTable::clear(Node node) noexcept {
  message_bytes_ -= entries_[node].bytes.size();
  --size_;
  entries_[node] = Entry{};
  tree_.prune(node, [&](Node idle) { return entries_[idle].bytes.empty(); });
}

std::string_view RetainedTable::find(std::string_view topic, std::int64_t now) const noexcept {
  const Node node = tree_.find_path(TopicLevels(topic));
  if (node == TopicTree::none || entries_[node].expires_at <= now) return {};
  return entries_[node].bytes;
}

std::size_t RetainedTable::drop_expired(std::int64_t now, std::size_t count) noexcept {
  std::size_t dropped = 0;
  for (std::size_t i = std::min(count, entries_.size()); i > 0; --i) {
    if (++sweep_at_ >= entries_.size()) sweep_at_ = 0;
    const Entry& entry = entries_[sweep_at_];
    if (entry.bytes.empty() || entry.expires_at > now) continue;
    clear(static_cast<Node>(sweep_at_));
    ++dropped;
  }
  return dropped;
}

std::string RetainedTable::topic_of(Node node) const {
  std::string topic(tree_.text(node));
  for (node = tree_.parent(node); node != TopicTree::root; node = tree_.parent(node)) {
    topic.insert(0, 1, '/').insert(0, tree_.text(node));
  }
  return topic;
}

// Section 4.7.2: of the first level a wildcard does not match what begins with "$".
RetainedTable::Node RetainedTable::skip_dollar(Node parent, Node child) const noexcept {
  while (parent == TopicTree::root && child != TopicTree::none &&
         tree_.text(child).starts_with('$')) {
    child = tree_.next_sibling(child);
  }
  return child;
}

RetainedTable::Node RetainedTable::first_match(Node parent, std::string_view level) const noexcept {
  if (level != "+") return tree_.find(parent, level);
  return skip_dollar(parent, tree_.first_child(parent));
}

RetainedTable::Node RetainedTable::next_match(Node node, std::size_t depth,
                                              const TopicLevels& filter) const noexcept {
  if (filter.level[depth - 1] != "+") return TopicTree::none;
  return skip_dollar(tree_.parent(node), tree_.next_sibling(node));
}

}  // namespace tocsin::flow
