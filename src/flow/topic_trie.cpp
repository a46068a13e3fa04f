#include "flow/topic_trie.hpp"

#include <cassert>

namespace tocsin::flow {

bool HandleSet::insert(std::uint64_t value) {
  const auto all = values();
  const auto spot = std::lower_bound(all.begin(), all.end(), value);
  if (spot != all.end() && *spot == value) return false;
  const auto at = static_cast<std::size_t>(spot - all.begin());
  if (size_ == 0 && !many_) {
    one_ = value;
    size_ = 1;
    return true;
  }
  if (size_ >= capacity_) {
    const std::uint32_t capacity = std::max(4U, size_ * 2);
    auto grown = std::make_unique<std::uint64_t[]>(capacity);
    std::copy(all.begin(), all.end(), grown.get());
    many_ = std::move(grown);
    capacity_ = capacity;
  }
  std::uint64_t* const begin = many_.get();
  std::copy_backward(begin + at, begin + size_, begin + size_ + 1);
  begin[at] = value;
  ++size_;
  return true;
}

bool HandleSet::erase(std::uint64_t value) noexcept {
  const auto all = values();
  const auto spot = std::lower_bound(all.begin(), all.end(), value);
  if (spot == all.end() || *spot != value) return false;
  if (many_) {
    std::uint64_t* const at = many_.get() + (spot - all.begin());
    std::copy(at + 1, many_.get() + size_, at);
  }
  --size_;
  if (size_ <= 1 && many_) {
    if (size_ == 1) one_ = many_[0];
    many_.reset();
    capacity_ = 0;
  }
  return true;
}

TopicTrie::TopicTrie(std::uint64_t seed, std::size_t values_max)
    : tree_(seed), entries_(1), values_max_(values_max) {}

TopicTrie::Place TopicTrie::place_of(std::string_view filter) noexcept {
  Place place{TopicLevels(filter), false};
  if (!place.levels.deeper && place.levels.level[place.levels.count - 1] == "#") {
    place.open = true;
    --place.levels.count;
  }
  return place;
}

TopicTrie::Inserted TopicTrie::insert(std::string_view filter, Value value) {
  assert(!filter.empty());
  const Place place = place_of(filter);
  if (place.levels.deeper) return Inserted::too_deep;
  // A repeated subscription is no new one, even when there is no room for new ones.
  if (size_ >= values_max_) {
    const Node known = tree_.find_path(place.levels);
    if (known == TopicTree::none) return Inserted::full;
    const HandleSet& set = place.open ? entries_[known].below : entries_[known].here;
    const auto all = set.values();
    return std::binary_search(all.begin(), all.end(), value) ? Inserted::present : Inserted::full;
  }
  const Node node = tree_.make_path(place.levels);
  if (entries_.size() < tree_.capacity()) entries_.resize(tree_.capacity());
  Node child = node;
  for (std::size_t i = place.levels.count; i-- > 0; child = tree_.parent(child)) {
    if (place.levels.level[i] == "+") entries_[tree_.parent(child)].plus = child;
  }
  HandleSet& set = place.open ? entries_[node].below : entries_[node].here;
  heap_bytes_ -= set.heap_bytes();
  const bool added = set.insert(value);
  heap_bytes_ += set.heap_bytes();
  size_ += added ? 1 : 0;
  return added ? Inserted::added : Inserted::present;
}

bool TopicTrie::erase(std::string_view filter, Value value) noexcept {
  const Place place = place_of(filter);
  const Node node = tree_.find_path(place.levels);
  if (node == TopicTree::none) return false;
  HandleSet& set = place.open ? entries_[node].below : entries_[node].here;
  heap_bytes_ -= set.heap_bytes();
  const bool erased = set.erase(value);
  heap_bytes_ += set.heap_bytes();
  if (!erased) return false;
  --size_;
  prune(node);
  return true;
}

void TopicTrie::prune(Node node) noexcept {
  tree_.prune(node, [&](Node idle) {
    if (!entries_[idle].here.empty() || !entries_[idle].below.empty()) return false;
    Entry& above = entries_[tree_.parent(idle)];
    if (above.plus == idle) above.plus = TopicTree::none;
    return true;
  });
}

std::size_t TopicTrie::insert_cost(std::string_view filter) const noexcept {
  const Place place = place_of(filter);
  return tree_.path_cost(place.levels) + place.levels.count * sizeof(Entry);
}

std::size_t TopicTrie::insert_cost_max(std::string_view filter) noexcept {
  const TopicLevels levels(filter);
  return TopicTree::path_cost_max(levels) + levels.count * sizeof(Entry);
}

std::size_t TopicTrie::bytes() const noexcept {
  return tree_.bytes() + tree_.size() * sizeof(Entry) + heap_bytes_;
}

}  // namespace tocsin::flow
