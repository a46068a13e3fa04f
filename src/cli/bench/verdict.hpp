#pragma once
// Whose limit a run has shown: that of the server, or that of the generator, which then says
// nothing about the server.

#include <cstdint>
#include <optional>
#include <string_view>

#include "cli/bench/summary.hpp"

namespace tocsin::cli::bench {

enum class Bound : std::uint8_t {
  none,       ///< The rate asked for was kept, and the goal.
  server,     ///< The server was too slow.
  generator,  ///< The generator was: it sent late, or had no processor time left.
  latency,    ///< Neither was busy: the window was, that is, the time an answer takes.
};
[[nodiscard]] std::string_view to_string(Bound bound) noexcept;

/// From this part of its processor on, a thread counts as saturated.
inline constexpr double saturated = 0.9;

/// The lateness (p99) from which on the generator and not the server is what has been measured: a
/// quarter of the latency goal, or a millisecond without one.
[[nodiscard]] Duration lateness_max(const Plan& plan) noexcept;

/// Whether the run kept the plan's rate and goal without loss.
[[nodiscard]] bool kept(const Summary& summary, const Plan& plan);

/// `server_busy`: part of its processors that the server used, where that is known.
[[nodiscard]] Bound bound_of(const Summary& summary, const Plan& plan,
                             std::optional<double> server_busy);

}  // namespace tocsin::cli::bench
