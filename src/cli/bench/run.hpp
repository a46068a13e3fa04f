#pragma once

#include <memory>
#include <string>

#include <tocsin/result.hpp>

#include "cli/bench/plan.hpp"
#include "cli/bench/summary.hpp"

namespace tocsin::cli::bench {

/// Runs the plan on its threads and waits. Fails with a sentence when this machine offers no I/O.
[[nodiscard]] Result<std::unique_ptr<Summary>, std::string> run(const Plan& plan);

}  // namespace tocsin::cli::bench
