#pragma once
// What a run found, for people and for programs.

#include <string>

#include "cli/bench/plan.hpp"
#include "cli/bench/tally.hpp"

namespace tocsin::cli::bench {

struct Summary {
  Tally tally;
  Duration elapsed{};

  /// False when something was refused, went unanswered, was never sent, or did not reach the
  /// subscriber.
  [[nodiscard]] bool lossless(const Plan& plan) const;
  /// Acknowledged after the warm-up.
  [[nodiscard]] double events_per_s() const;
  /// Part of its processors' time that the generator used while it sent, 0 to 1.
  [[nodiscard]] double generator_busy() const;
  /// What the latency goal is about: end to end with a subscriber, else until the acknowledgement.
  [[nodiscard]] const Histogram& latency(const Plan& plan) const {
    return plan.subscribe.empty() ? tally.ack_latency : tally.end_to_end;
  }
};

enum class Bound : std::uint8_t;

[[nodiscard]] std::string to_text(const Summary& summary, const Plan& plan, Bound bound);
/// One JSON object without a line's end.
[[nodiscard]] std::string to_json(const Summary& summary, const Plan& plan, Bound bound);

}  // namespace tocsin::cli::bench
