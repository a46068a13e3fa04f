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
  [[nodiscard]] double events_per_s() const;
};

[[nodiscard]] std::string to_text(const Summary& summary, const Plan& plan);
[[nodiscard]] std::string to_json(const Summary& summary, const Plan& plan);

}  // namespace tocsin::cli::bench
