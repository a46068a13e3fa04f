#include "cli/bench/summary.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "cli/bench/verdict.hpp"
#include "protocol/json/text.hpp"

namespace tocsin::cli::bench {
namespace {

double to_us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

std::string latency_text(std::string_view name, const Histogram& latency) {
  return fmt::format("{:<16}p50 {:.0f} us, p99 {:.0f} us, p99.9 {:.0f} us\n", name,
                     to_us(latency.quantile(0.5)), to_us(latency.quantile(0.99)),
                     to_us(latency.quantile(0.999)));
}

std::string latency_json(const Histogram& latency) {
  if (latency.count() == 0) return "null";
  return fmt::format(R"({{"p50":{:.1f},"p99":{:.1f},"p99.9":{:.1f}}})",
                     to_us(latency.quantile(0.5)), to_us(latency.quantile(0.99)),
                     to_us(latency.quantile(0.999)));
}

std::string_view protocol_name(const Plan& plan) {
  if (plan.protocol == Protocol::http) return "http";
  constexpr std::array names{"mqtt qos 0", "mqtt qos 1", "mqtt qos 2"};
  return names[plan.qos];
}

}  // namespace

bool Summary::lossless(const Plan& plan) const {
  return tally.errors == 0 && tally.refused == 0 && tally.unacknowledged() == 0 &&
         tally.unsent == 0 && (plan.subscribe.empty() || tally.received == tally.acknowledged);
}

double Summary::events_per_s() const {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return seconds > 0 ? static_cast<double>(tally.measured) / seconds : 0;
}

double Summary::generator_busy() const {
  if (tally.wall <= Duration{}) return 0;
  // The kernel counts in ticks: over a short time it may find more than there was.
  return std::min(
      1.0, static_cast<double>(tally.busy.count()) / static_cast<double>(tally.wall.count()));
}

std::string to_text(const Summary& summary, const Plan& plan, Bound bound) {
  const Tally& tally = summary.tally;
  const bool answered = plan.protocol == Protocol::http || plan.qos > 0;
  std::string text = fmt::format(
      "{:<16}{}, {} connection{}, window {}, {} event{} a send\n"
      "{:<16}{} events in {:.2f} s\n{:<16}{:.0f} events/s {}\n",
      "load", protocol_name(plan), plan.connections, plan.connections == 1 ? "" : "s", plan.window,
      plan.batch, plan.batch == 1 ? "" : "s", answered ? "acknowledged" : "read",
      tally.acknowledged, std::chrono::duration<double>(summary.elapsed).count(), "throughput",
      summary.events_per_s(), answered ? "acknowledged" : "sent and read by the server");
  if (tally.ack_latency.count() > 0) {
    text += latency_text(answered ? "acknowledged in" : "read in", tally.ack_latency);
  }
  if (!plan.subscribe.empty()) {
    text += fmt::format("{:<16}{} events\n", "received", tally.received);
    text += latency_text("end to end", tally.end_to_end);
  }
  text +=
      fmt::format("{:<16}{:.0f} % of its processor", "generator", 100 * summary.generator_busy());
  if (plan.rate > 0) {
    text += fmt::format(", late by p50 {:.0f} us, p99 {:.0f} us",
                        to_us(tally.lateness.quantile(0.5)), to_us(tally.lateness.quantile(0.99)));
  }
  text += fmt::format("\n{:<16}{}\n", "bound by", to_string(bound));
  if (!summary.lossless(plan)) {
    text += fmt::format("{:<16}{} refused, {} unanswered, {} not sent, {} connections failed{}{}\n",
                        "LOST", tally.refused, tally.unacknowledged(), tally.unsent, tally.errors,
                        tally.first_error.empty() ? "" : ": ", tally.first_error);
    if (!plan.subscribe.empty() && tally.received != tally.acknowledged) {
      text += fmt::format("{:<16}{} events acknowledged, {} received\n", "LOST", tally.acknowledged,
                          tally.received);
    }
  }
  return text;
}

std::string to_json(const Summary& summary, const Plan& plan, Bound bound) {
  const Tally& tally = summary.tally;
  std::string error;
  json::append_string(error, tally.first_error);
  return fmt::format(
      R"({{"load":"{}","connections":{},"window":{},"batch":{},"rate":{},"seconds":{:.3f},)"
      R"("sent":{},"acknowledged":{},"refused":{},"unanswered":{},"not_sent":{},"received":{},)"
      R"("errors":{},"first_error":{},"events_per_s":{:.0f},"acknowledged_in_us":{},)"
      R"("end_to_end_us":{},"generator_busy":{:.3f},"late_us":{},"bound_by":"{}",)"
      R"("lossless":{}}})",
      protocol_name(plan), plan.connections, plan.window, plan.batch, plan.rate,
      std::chrono::duration<double>(summary.elapsed).count(), tally.sent, tally.acknowledged,
      tally.refused, tally.unacknowledged(), tally.unsent, tally.received, tally.errors, error,
      summary.events_per_s(), latency_json(tally.ack_latency), latency_json(tally.end_to_end),
      summary.generator_busy(), latency_json(tally.lateness), to_string(bound),
      summary.lossless(plan));
}

}  // namespace tocsin::cli::bench
