#pragma once

#include <memory>
#include <string>

#include <tocsin/result.hpp>

#include "cli/bench/plan.hpp"
#include "cli/bench/summary.hpp"
#include "io/io.hpp"

namespace tocsin::cli::bench {

inline constexpr io::IoOptions io_options{.receive_buffers = 128, .streams_max = 65'536};

/// As many descriptors as the system lets us have: a connection is one.
void raise_file_limit() noexcept;

/// Runs the plan on its threads and waits. Fails with a sentence when this machine offers no I/O.
[[nodiscard]] Result<std::unique_ptr<Summary>, std::string> run(const Plan& plan);

}  // namespace tocsin::cli::bench
