// What matching one device event of about 200 bytes costs, by number of mixed rules: exact,
// prefix, numeric and exists in equal parts.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "stages/match/match_test_support.hpp"
#include "stages/match/matcher.hpp"

namespace {

using namespace tocsin;

constexpr const char* kinds[] = {"temperature", "humidity", "pressure", "vibration",
                                 "current",     "door",     "motion",   "battery"};

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, pattern, args...);
  return buffer;
}

std::vector<flow::RuleConfig> mixed_rules(int count) {
  std::vector<flow::RuleConfig> rules(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    flow::RuleConfig& rule = rules[static_cast<std::size_t>(i)];
    const int device = i * 7919 % 10000;
    const char* kind = kinds[i % 8];
    rule.name = format("rule-%d", i);
    switch (i % 4) {
      case 0:
        rule.pattern = format(R"({"device":["dev-%05d"],"type":["%s"]})", device, kind);
        break;
      case 1:
        rule.pattern =
            format(R"({"site":[{"prefix":"site-%02d/line-%02d"}],"device":[{"prefix":"dev-%04d"}],)"
                   R"("type":["%s"]})",
                   i % 20, i / 20 % 50, device / 10, kind);
        break;
      case 2:
        rule.pattern =
            format(R"({"device":["dev-%05d"],"type":["%s"],"value":[{"numeric":[">",%d]}]})",
                   device, kind, i * 37 % 140 - 50);
        break;
      default:
        rule.pattern = format(R"({"device":["dev-%05d"],"meta":{"rssi":[{"exists":true}]},)"
                              R"("err":[{"exists":false}]})",
                              device);
    }
  }
  return rules;
}

std::vector<match::TestRecord> device_events() {
  std::mt19937 random(7);
  std::vector<match::TestRecord> events;
  for (int i = 0; i < 1024; ++i) {
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    const std::string text =
        format(R"({"id":"%08x%04x","device":"dev-%05d","site":"site-%02d/line-%02d","type":"%s",)"
               R"("value":%d.%03d,"unit":"C","level":"info","ts":%lld,)"
               R"("meta":{"fw":"2.%d.%d","seq":%d,"rssi":-%d}})",
               static_cast<unsigned>(random()), static_cast<unsigned>(pick(65536)), pick(10000),
               pick(20), pick(50), kinds[pick(8)], pick(200) - 50, pick(1000),
               1795246000000LL + i * 7, pick(10), pick(30), i, 30 + pick(80));
    events.emplace_back(text);
  }
  return events;
}

void match_mixed(benchmark::State& state) {
  const auto rules =
      match::RuleSet::compile(mixed_rules(static_cast<int>(state.range(0))), 0x5EED).value();
  match::Matcher matcher(rules, 64 * 1024);
  const auto events = device_events();
  std::vector<match::RuleIndex> out;
  std::size_t i = 0;
  std::size_t matches = 0;
  for (auto _ : state) {
    matcher.match(events[i++ % events.size()].view(), out);
    matches += out.size();
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["matches_per_event"] =
      benchmark::Counter(static_cast<double>(matches), benchmark::Counter::kAvgIterations);
}
BENCHMARK(match_mixed)->Arg(1)->Arg(100)->Arg(1000)->Arg(10000);

void compile_rules(benchmark::State& state) {
  const auto rules = mixed_rules(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(match::RuleSet::compile(rules, 0x5EED));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(compile_rules)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
