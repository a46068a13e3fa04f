#include "cli/bench/capacity.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "cli/bench/private_server.hpp"
#include "cli/bench/rate_search.hpp"
#include "cli/bench/run.hpp"

namespace tocsin::cli::bench {
namespace {

double to_us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

/// One point on its way: the plan, and the server if it is our own.
struct Bench {
  Plan plan;
  std::unique_ptr<PrivateServer> server;
};

Result<Bench, std::string> set_up(Arguments arguments, std::optional<int> processor) {
  Bench bench;
  if (!arguments.self.empty()) {
    auto server = PrivateServer::start({.rules = arguments.rules, .level = arguments.level},
                                       arguments.directory, processor);
    if (!server) return Unexpected{server.error()};
    bench.server = std::move(*server);
    (arguments.self == "mqtt" ? arguments.mqtt : arguments.http) =
        arguments.self == "mqtt" ? bench.server->mqtt() : bench.server->http();
    if (!arguments.subscribe.empty()) arguments.subscribe_at = bench.server->mqtt();
  }
  auto plan = make_plan(arguments);
  if (!plan) return Unexpected{plan.error()};
  bench.plan = std::move(*plan);
  return bench;
}

/// The server is busy during the warm-up and the end, too, so its part is of the whole run.
Result<Step, std::string> run_step(const Bench& bench) {
  const auto began = std::chrono::steady_clock::now();
  const Duration demand_before = bench.server ? bench.server->demand() : Duration{};
  const auto summary = run(bench.plan);
  if (!summary) return Unexpected{summary.error()};
  const Duration took = std::chrono::steady_clock::now() - began;
  const Histogram& latency = (*summary)->latency(bench.plan);
  Step step{.rate_wanted = bench.plan.rate,
            .rate = (*summary)->events_per_s(),
            .p50_us = to_us(latency.quantile(0.5)),
            .p99_us = to_us(latency.quantile(0.99)),
            .p999_us = to_us(latency.quantile(0.999)),
            .late_p99_us = to_us((*summary)->tally.lateness.quantile(0.99)),
            .generator_busy = (*summary)->generator_busy(),
            .server_busy = std::nullopt,
            .server_mib = std::nullopt,
            .kept = kept(**summary, bench.plan),
            .error = (*summary)->tally.first_error};
  if (bench.server) {
    step.server_busy =
        std::min(1.0, static_cast<double>((bench.server->demand() - demand_before).count()) /
                          static_cast<double>(took.count()));
    step.server_mib = static_cast<double>(bench.server->resident_bytes()) / (1 << 20U);
  }
  step.bound = bound_of(**summary, bench.plan, step.server_busy);
  return step;
}

void report(const std::string& name, const Step& step) {
  fmt::print(stderr, "{}{}{:.0f} events/s, p50 {:.0f} us, p99 {:.0f} us: {}{}{}\n", name,
             name.empty() ? "" : ": ", step.rate, step.p50_us, step.p99_us,
             step.kept ? "kept" : "not kept",
             step.bound == Bound::none ? "" : fmt::format(" ({})", to_string(step.bound)),
             step.error.empty() ? "" : ", " + step.error);
}

Result<PointResult, std::string> run_point(const SweepPoint& point, std::optional<int> processor) {
  PointResult result{.name = point.name, .steps = {}};
  auto bench = set_up(point.arguments, processor);
  if (!bench) return Unexpected{bench.error()};
  const auto one_step = [&]() -> Result<void, std::string> {
    const auto step = run_step(*bench);
    if (!step) return Unexpected{step.error()};
    report(result.name, *step);
    result.steps.push_back(*step);
    return {};
  };
  if (!point.arguments.find_rate) {
    if (auto done = one_step(); !done) return Unexpected{done.error()};
    return result;
  }
  RateSearch search({.start = point.arguments.rate > 0 ? point.arguments.rate : 1000});
  while (!search.done()) {
    bench->plan.rate = search.rate();
    if (auto done = one_step(); !done) return Unexpected{done.error()};
    // A generator that was late has shown its own limit: going faster would show nothing else.
    const Step& last = result.steps.back();
    search.report(last.kept && last.bound == Bound::none);
  }
  return result;
}

std::string percent(std::optional<double> part) {
  return part ? fmt::format("{:.0f} %", 100 * *part) : "";
}

std::string optional_json(std::optional<double> value) {
  return value ? fmt::format("{:.3f}", *value) : "null";
}

std::string row_of(const PointResult& point, const Arguments& arguments) {
  const std::string name = point.name.empty() ? "as given" : point.name;
  const Step* const best = point.best();
  if (best == nullptr) {
    return fmt::format("| {} | none | | | | | | | {} |\n", name, to_string(point.bound()));
  }
  const bool at_least = arguments.find_rate && point.bound() == Bound::generator;
  return fmt::format("| {} | {}{:.0f} | {:.0f} | {:.0f} | {:.0f} | {} | {} | {} | {} |\n", name,
                     at_least ? "at least " : "", best->rate, best->p50_us, best->p99_us,
                     best->p999_us, percent(best->server_busy),
                     best->server_mib ? fmt::format("{:.0f}", *best->server_mib) : "",
                     percent(best->generator_busy), to_string(point.bound()));
}

}  // namespace

const Step* PointResult::best() const {
  const Step* best = nullptr;
  for (const Step& step : steps) {
    // In a search, what a late generator seemed to keep does not count.
    const bool counts = step.kept && (steps.size() == 1 || step.bound == Bound::none);
    if (counts && (best == nullptr || step.rate > best->rate)) best = &step;
  }
  return best;
}

Bound PointResult::bound() const {
  if (steps.size() == 1) return steps.front().bound;
  const Step* lowest = nullptr;
  for (const Step& step : steps) {
    if (step.bound == Bound::none) continue;
    if (lowest == nullptr || step.rate_wanted <= lowest->rate_wanted) lowest = &step;
  }
  return lowest == nullptr ? Bound::none : lowest->bound;
}

Result<std::vector<PointResult>, std::string> plan_capacity(const Arguments& arguments) {
  std::vector<Sweep> sweeps;
  for (const std::string& text : arguments.sweeps) {
    auto sweep = parse_sweep(text);
    if (!sweep) return Unexpected{sweep.error()};
    if (sweep->key->name == "rules" && arguments.self.empty()) {
      return Unexpected{std::string("--sweep rules needs --self: rules are the server's")};
    }
    sweeps.push_back(std::move(*sweep));
  }
  const auto processor = arguments.self.empty() ? std::nullopt : give_up_one_processor();
  std::vector<PointResult> results;
  for (const SweepPoint& point : combine(arguments, sweeps)) {
    auto result = run_point(point, processor);
    if (!result) return Unexpected{result.error()};
    results.push_back(std::move(*result));
  }
  return results;
}

std::string sizing_table(const std::vector<PointResult>& results, const Arguments& arguments) {
  std::string text = fmt::format(
      "| {} | events/s | p50 us | p99 us | p99.9 us | server busy | server MiB | generator busy | "
      "bound by |\n|---|---|---|---|---|---|---|---|---|\n",
      arguments.find_rate ? fmt::format("highest rate with p99 <= {:g} ms", arguments.goal_p99_ms)
                          : "load");
  for (const PointResult& point : results) text += row_of(point, arguments);
  return text;
}

std::string capacity_json(const std::vector<PointResult>& results) {
  std::string text = "{\"points\":[";
  for (const PointResult& point : results) {
    if (text.back() == '}') text += ',';
    const Step* const best = point.best();
    text += fmt::format(R"({{"name":"{}","events_per_s":{:.0f},"bound_by":"{}","steps":[)",
                        point.name, best == nullptr ? 0.0 : best->rate, to_string(point.bound()));
    for (const Step& step : point.steps) {
      if (text.back() == '}') text += ',';
      text += fmt::format(
          R"({{"rate":{:.0f},"events_per_s":{:.0f},"p50_us":{:.1f},"p99_us":{:.1f},)"
          R"("p99.9_us":{:.1f},"late_p99_us":{:.1f},"generator_busy":{:.3f},"server_busy":{},)"
          R"("server_mib":{},"kept":{},"bound_by":"{}"}})",
          step.rate_wanted, step.rate, step.p50_us, step.p99_us, step.p999_us, step.late_p99_us,
          step.generator_busy, optional_json(step.server_busy), optional_json(step.server_mib),
          step.kept, to_string(step.bound));
    }
    text += "]}";
  }
  return text + "]}\n";
}

Plot capacity_plot(const std::vector<PointResult>& results, const Arguments& arguments) {
  Plot plot{.title = "tocsin bench: latency over rate",
            .goal_us = arguments.find_rate ? arguments.goal_p99_ms * 1e3 : 0,
            .series = {}};
  for (const PointResult& point : results) {
    PlotSeries& series = plot.series.emplace_back();
    series.name = point.name.empty() ? "as given" : point.name;
    for (const Step& step : point.steps) {
      series.points.push_back({step.rate, step.p50_us, step.p99_us, step.kept});
    }
  }
  return plot;
}

}  // namespace tocsin::cli::bench
