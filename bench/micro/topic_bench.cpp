// Goal: cost of finding the subscribers of a topic, and what a subscription weighs.
// Method: `range` devices, each with a filter of its own and one with a wildcard; topics in turn.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "flow/retained_table.hpp"
#include "flow/topic_trie.hpp"

namespace {

using namespace tocsin::flow;

std::string device(std::size_t i) {
  return "site/line-" + std::to_string(i % 40) + "/d" + std::to_string(i);
}

void topic_trie_match(benchmark::State& state) {
  const auto devices = static_cast<std::size_t>(state.range(0));
  TopicTrie trie(1);
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < devices; ++i) {
    (void)trie.insert(device(i) + "/command", i);
    (void)trie.insert("site/+/d" + std::to_string(i) + "/#", i);
    topics.push_back(device(i * 7919 % devices) + "/command");
  }
  (void)trie.insert("site/#", 1);
  std::size_t at = 0;
  std::size_t found = 0;
  for (auto _ : state) {
    trie.match(topics[at], [&](TopicTrie::Value) { ++found; });
    at = at + 1 < devices ? at + 1 : 0;
  }
  benchmark::DoNotOptimize(found);
  state.SetItemsProcessed(state.iterations());
  state.counters["matches_per_topic"] =
      static_cast<double>(found) / static_cast<double>(state.iterations());
  state.counters["bytes_per_subscription"] =
      static_cast<double>(trie.bytes()) / static_cast<double>(trie.size());
}

void topic_trie_no_subscriber(benchmark::State& state) {
  TopicTrie trie(1);
  (void)trie.insert("notifications/#", 1);
  for (auto _ : state) {
    std::size_t found = 0;
    trie.match("devices/pump-0017/telemetry", [&](TopicTrie::Value) { ++found; });
    benchmark::DoNotOptimize(found);
  }
  state.SetItemsProcessed(state.iterations());
}

void topic_trie_subscribe(benchmark::State& state) {
  TopicTrie trie(1);
  for (std::size_t i = 0; i < 10'000; ++i) (void)trie.insert(device(i) + "/command", i);
  for (auto _ : state) {
    (void)trie.insert("site/line-3/d99999/command", 1);
    (void)trie.erase("site/line-3/d99999/command", 1);
  }
  state.SetItemsProcessed(state.iterations());
}

void retained_replace(benchmark::State& state) {
  RetainedTable table(1, {});
  const std::string message(200, 'x');
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < 10'000; ++i) topics.push_back(device(i) + "/state");
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.put(topics[at], message));
    at = at + 1 < topics.size() ? at + 1 : 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void retained_match_all(benchmark::State& state) {
  RetainedTable table(1, {});
  for (std::size_t i = 0; i < 10'000; ++i) (void)table.put(device(i) + "/state", "message");
  std::size_t found = 0;
  for (auto _ : state) {
    table.match("site/+/+/state", 0,
                [&](std::string_view, std::string_view, std::int64_t) { ++found; });
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(found));
}

BENCHMARK(topic_trie_match)->Arg(100)->Arg(10'000)->Arg(100'000);
BENCHMARK(topic_trie_no_subscriber);
BENCHMARK(topic_trie_subscribe);
BENCHMARK(retained_replace);
BENCHMARK(retained_match_all);

}  // namespace
