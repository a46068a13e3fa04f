#pragma once
// Draws rate against latency as an SVG file: one colour a series, p99 as a line, p50 dashed, both
// axes logarithmic.

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::cli::bench {

struct PlotPoint {
  double rate = 0;  ///< Events/s.
  double p50_us = 0;
  double p99_us = 0;
  bool kept = true;  ///< The latency goal; where it broke, the mark is hollow.
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< In any order.
};

struct Plot {
  std::string title;
  double goal_us = 0;  ///< Drawn as a level line; 0 = none.
  std::vector<PlotSeries> series;
};

/// The whole file. Points that are not above zero are left out; with no point at all the axes stand
/// alone.
[[nodiscard]] std::string to_svg(const Plot& plot);

}  // namespace tocsin::cli::bench
