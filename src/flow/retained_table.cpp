#include "flow/retained_table.hpp"

#include <cassert>
#include <utility>

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
  prune(node);
}

void RetainedTable::prune(Node node) noexcept {
  tree_.prune(node,
              [&](Node idle) { return entries_[idle].bytes.empty() && !pins_.contains(idle); });
}

void RetainedTable::unpin(Node node) noexcept {
  const auto pinned = pins_.find(node);
  assert(pinned != pins_.end());
  if (--pinned->second > 0) return;
  pins_.erase(pinned);
  prune(node);
}

void RetainedTable::stop(Cursor& cursor) noexcept {
  const Cursor stopped = std::exchange(cursor, {});
  if (stopped.begun()) unpin(stopped.node_);
}

std::string_view RetainedTable::find(std::string_view topic, std::int64_t now) const noexcept {
  const Node node = tree_.find_path(TopicLevels(topic));
  if (node == TopicTree::none || entries_[node].expires_at <= now) return {};
  return entries_[node].bytes;
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

bool RetainedTable::selects(const Place& place, const TopicLevels& filter) noexcept {
  const bool open = filter.level[filter.count - 1] == "#";
  return open ? place.depth + 1 >= filter.count : place.depth == filter.count;
}

RetainedTable::Node RetainedTable::first_match(const Place& place,
                                               const TopicLevels& filter) const noexcept {
  const bool open = filter.level[filter.count - 1] == "#";
  if (open && place.depth + 1 >= filter.count) {
    return skip_dollar(place.node, tree_.first_child(place.node));
  }
  if (place.depth == filter.count) return TopicTree::none;
  const std::string_view level = filter.level[place.depth];
  if (level != "+") return tree_.find(place.node, level);
  return skip_dollar(place.node, tree_.first_child(place.node));
}

RetainedTable::Node RetainedTable::next_match(const Place& place,
                                              const TopicLevels& filter) const noexcept {
  // Below "#" every level stands for itself alone.
  const bool below = place.depth >= filter.count;
  const std::string_view level = filter.level[below ? filter.count - 1 : place.depth - 1];
  if (level != "+" && level != "#") return TopicTree::none;
  return skip_dollar(tree_.parent(place.node), tree_.next_sibling(place.node));
}

RetainedTable::Place RetainedTable::next_place(Place place,
                                               const TopicLevels& filter) const noexcept {
  const Node child = first_match(place, filter);
  if (child != TopicTree::none) return {.node = child, .depth = place.depth + 1};
  for (; place.depth > 0; place = {.node = tree_.parent(place.node), .depth = place.depth - 1}) {
    const Node next = next_match(place, filter);
    if (next != TopicTree::none) return {.node = next, .depth = place.depth};
  }
  return {.node = TopicTree::none, .depth = 0};
}

}  // namespace tocsin::flow
