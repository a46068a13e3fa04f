// What rendering one notification with three variables costs, by the escape of its body.

#include <benchmark/benchmark.h>

#include <string>

#include "stages/match/match_test_support.hpp"
#include "stages/render/renderer.hpp"

namespace {

using namespace tocsin;

void render_three_variables(benchmark::State& state) {
  flow::RuleConfig rule;
  rule.name = "hot";
  rule.body = "{{device}} is at {{value}} ({{meta.fw}})";
  const auto escape = static_cast<render::Escape>(state.range(0));
  const auto templates =
      render::TemplateSet::compile({&rule, 1}, [&](const auto&) { return escape; }).value();
  render::Renderer renderer(templates);
  constexpr std::string_view payload =
      R"({"id":"0123456789ab","device":"dev-00042","site":"site-01/line-07","type":"temperature",)"
      R"("value":41.5,"unit":"C","level":"info","ts":1795246000000,)"
      R"("meta":{"fw":"2.1.3","seq":7,"rssi":-61}})";
  const match::TestDocument document(payload);
  const std::optional<json::Value> root = document.root();
  const match::TestRecord record(payload);
  std::string subject;
  std::string body;
  for (auto _ : state) {
    renderer.render(0, record.view(), root, Priority::normal, Severity::info, subject, body);
    benchmark::DoNotOptimize(body.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(render_three_variables)
    ->ArgName("escape")
    ->Arg(static_cast<int>(render::Escape::none))
    ->Arg(static_cast<int>(render::Escape::html))
    ->Arg(static_cast<int>(render::Escape::json));

}  // namespace
