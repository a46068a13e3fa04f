// Goal: no filters and topics, however strange, make trie, retained table and definition disagree.
// Input: lines. "-filter" erases, "=topic" matches (and is retained), anything else is inserted.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "flow/retained_table.hpp"
#include "flow/sources.hpp"
#include "flow/topic_trie.hpp"

namespace {

using namespace tocsin::flow;

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t depth(std::string_view text) {
  std::size_t levels = 1;
  for (const char c : text) levels += c == '/' ? 1 : 0;
  return levels;
}

struct Check {
  TopicTrie trie{42};
  RetainedTable retained{42, {.count_max = 8, .bytes_max = 20'000}};
  std::set<std::string> filters;
  std::map<std::string, std::string> topics;

  void insert(const std::string& filter) {
    if (!topic_filter_valid(filter)) return;
    const auto inserted = trie.insert(filter, depth(filter));
    if (inserted == TopicTrie::Inserted::too_deep) return require(depth(filter) > topic_levels_max);
    require((inserted == TopicTrie::Inserted::added) == filters.insert(filter).second);
    std::set<std::string> found;
    retained.match(filter, 0, [&](std::string_view topic, std::string_view, std::int64_t) {
      require(found.emplace(topic).second);
    });
    for (const auto& [topic, bytes] : topics) {
      require(found.contains(topic) == topic_matches(filter, topic));
    }
  }
  void erase(const std::string& filter) {
    if (!topic_filter_valid(filter)) return;
    require(trie.erase(filter, depth(filter)) == (filters.erase(filter) == 1));
  }
  void match(const std::string& topic) {
    if (!topic_name_valid(topic)) return;
    std::size_t matched = 0;
    trie.match(topic, [&](TopicTrie::Value) { ++matched; });
    std::size_t expected = 0;
    for (const std::string& filter : filters) expected += topic_matches(filter, topic) ? 1 : 0;
    require(matched == expected);
    if (retained.put(topic, topic)) topics[topic] = topic;
    require(retained.size() == topics.size() && retained.bytes() <= 20'000);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  Check check;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    if (line.starts_with('-')) {
      check.erase(line.substr(1));
    } else if (line.starts_with('=')) {
      check.match(line.substr(1));
    } else {
      check.insert(line);
    }
  }
  return 0;
}
