#pragma once
// The capacity planner: runs one point after the other, searching the highest rate that keeps the
// goal where that is asked for, and says what it found as a sizing table, JSON and a picture.

#include <optional>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "cli/bench/arguments.hpp"
#include "cli/bench/svg.hpp"
#include "cli/bench/verdict.hpp"

namespace tocsin::cli::bench {

/// One run.
struct Step {
  double rate_wanted = 0;  ///< 0 = as fast as possible.
  double rate = 0;
  double p50_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  double late_p99_us = 0;
  double generator_busy = 0;
  std::optional<double> server_busy;  ///< Of a server of our own.
  std::optional<double> server_mib;   ///< Its resident memory at the end.
  bool kept = false;
  Bound bound = Bound::none;
  std::string error;  ///< Of the first connection that failed.
};

/// What one combination of the sweeps showed.
struct PointResult {
  std::string name;
  std::vector<Step> steps;  ///< In the order in which they ran.
  /// The step that tells the capacity: the fastest one that kept the goal; nothing when none did.
  [[nodiscard]] const Step* best() const;
  /// Whose limit it is: of the slowest step above the best one that broke.
  [[nodiscard]] Bound bound() const;
};

/// Runs everything; a line a step goes to standard error. Fails with a sentence.
[[nodiscard]] Result<std::vector<PointResult>, std::string> plan_capacity(
    const Arguments& arguments);

[[nodiscard]] std::string sizing_table(const std::vector<PointResult>& results,
                                       const Arguments& arguments);
[[nodiscard]] std::string capacity_json(const std::vector<PointResult>& results);
[[nodiscard]] Plot capacity_plot(const std::vector<PointResult>& results,
                                 const Arguments& arguments);

}  // namespace tocsin::cli::bench
