#include "cli/bench/verdict.hpp"

namespace tocsin::cli::bench {
namespace {

constexpr double rate_kept_least = 0.98;

Duration to_duration(std::uint64_t ns) { return Duration{static_cast<Duration::rep>(ns)}; }

}  // namespace

std::string_view to_string(Bound bound) noexcept {
  switch (bound) {
    case Bound::none:
      return "none";
    case Bound::server:
      return "server";
    case Bound::generator:
      return "generator";
    case Bound::latency:
      return "latency";
  }
  return "";
}

Duration lateness_max(const Plan& plan) noexcept {
  return plan.goal > Duration{} ? plan.goal / 4 : Duration{std::chrono::milliseconds(1)};
}

bool kept(const Summary& summary, const Plan& plan) {
  if (!summary.lossless(plan)) return false;
  if (plan.rate > 0 && summary.events_per_s() < rate_kept_least * plan.rate) return false;
  return plan.goal <= Duration{} || to_duration(summary.latency(plan).quantile(0.99)) <= plan.goal;
}

Bound bound_of(const Summary& summary, const Plan& plan, std::optional<double> server_busy) {
  if (plan.rate > 0) {
    const bool late = to_duration(summary.tally.lateness.quantile(0.99)) > lateness_max(plan);
    // A late generator falsifies even a goal that was kept: with less load there was less to keep.
    if (late) return Bound::generator;
    return kept(summary, plan) ? Bound::none : Bound::server;
  }
  // As fast as possible: somebody is at the limit. The server's processor is the better witness.
  if (server_busy && *server_busy >= saturated) return Bound::server;
  if (summary.generator_busy() >= saturated) return Bound::generator;
  return server_busy ? Bound::latency : Bound::server;
}

}  // namespace tocsin::cli::bench
