#include "cli/bench/svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace tocsin::cli::bench {
namespace {

constexpr double width = 860;
constexpr double height = 480;
constexpr double left = 80;
constexpr double right = 200;  // The legend's place.
constexpr double top = 40;
constexpr double bottom = 60;
// Distinguishable in print and by people who see few colours (after Okabe and Ito).
constexpr std::array<std::string_view, 8> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                  "#e69f00", "#56b4e9", "#000000", "#999933"};

/// A logarithmic axis over whole decades.
struct Axis {
  int first = 0;  ///< Exponents of ten.
  int last = 1;
  double from = 0;  ///< Where the first and the last lie in the picture.
  double to = 0;

  [[nodiscard]] double at(double value) const {
    const double part = (std::log10(value) - first) / (last - first);
    return from + std::clamp(part, 0.0, 1.0) * (to - from);
  }
};

Axis axis_over(const std::vector<double>& values, double from, double to) {
  Axis axis{.from = from, .to = to};
  if (values.empty()) return axis;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  axis.first = static_cast<int>(std::floor(std::log10(*least)));
  axis.last = std::max(axis.first + 1, static_cast<int>(std::ceil(std::log10(*most))));
  return axis;
}

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string decade_name(int exponent, bool microseconds) {
  const double value = std::pow(10.0, exponent);
  if (microseconds) {
    if (exponent >= 6) return fmt::format("{:g} s", value / 1e6);
    if (exponent >= 3) return fmt::format("{:g} ms", value / 1e3);
    return fmt::format("{:g} µs", value);
  }
  if (exponent >= 6) return fmt::format("{:g} M/s", value / 1e6);
  if (exponent >= 3) return fmt::format("{:g} k/s", value / 1e3);
  return fmt::format("{:g}/s", value);
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1,
                     x2, y2, style);
}

std::string label(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escape(text));
}

std::string draw_axes(const Axis& x, const Axis& y) {
  std::string text;
  for (int decade = x.first; decade <= x.last; ++decade) {
    const double at = x.at(std::pow(10.0, decade));
    text += line(at, y.from, at, y.to, "stroke=\"#ddd\"");
    text += label(at, y.from + 18, "middle", decade_name(decade, false));
  }
  for (int decade = y.first; decade <= y.last; ++decade) {
    const double at = y.at(std::pow(10.0, decade));
    text += line(x.from, at, x.to, at, "stroke=\"#ddd\"");
    text += label(x.from - 8, at + 4, "end", decade_name(decade, true));
  }
  text += label((x.from + x.to) / 2, height - 14, "middle", "events a second");
  return text;
}

std::string polyline(const Axis& x, const Axis& y, const std::vector<PlotPoint>& points,
                     double PlotPoint::*value, std::string_view style) {
  std::string text = "<polyline fill=\"none\" points=\"";
  for (const PlotPoint& point : points) {
    text += fmt::format("{:.1f},{:.1f} ", x.at(point.rate), y.at(point.*value));
  }
  return text + fmt::format("\" {}/>\n", style);
}

std::string draw_series(const Axis& x, const Axis& y, const PlotSeries& series, std::size_t index) {
  const std::string_view colour = colours[index % colours.size()];
  std::string text = polyline(x, y, series.points, &PlotPoint::p99_us,
                              fmt::format("stroke=\"{}\" stroke-width=\"2\"", colour));
  text += polyline(x, y, series.points, &PlotPoint::p50_us,
                   fmt::format("stroke=\"{}\" stroke-dasharray=\"4 3\"", colour));
  for (const PlotPoint& point : series.points) {
    text +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" stroke=\"{}\" fill=\"{}\"/>\n",
                    x.at(point.rate), y.at(point.p99_us), colour, point.kept ? colour : "white");
  }
  const double at = top + 8 + 20 * static_cast<double>(index);
  text +=
      line(x.to + 14, at, x.to + 34, at, fmt::format("stroke=\"{}\" stroke-width=\"2\"", colour));
  text += label(x.to + 40, at + 4, "start", series.name);
  return text;
}

/// What can be drawn on logarithmic axes, in the order of its rates.
Plot drawable(const Plot& plot) {
  Plot shown = plot;
  for (PlotSeries& series : shown.series) {
    std::erase_if(series.points, [](const PlotPoint& p) {
      return !(p.rate > 0) || !(p.p50_us > 0) || !(p.p99_us > 0);
    });
    std::ranges::sort(series.points, {}, &PlotPoint::rate);
  }
  return shown;
}

}  // namespace

std::string to_svg(const Plot& plot) {
  const Plot shown = drawable(plot);
  std::vector<double> rates;
  std::vector<double> latencies;
  for (const PlotSeries& series : shown.series) {
    for (const PlotPoint& point : series.points) {
      rates.push_back(point.rate);
      latencies.insert(latencies.end(), {point.p50_us, point.p99_us});
    }
  }
  if (plot.goal_us > 0) latencies.push_back(plot.goal_us);
  const Axis x = axis_over(rates, left, width - right);
  const Axis y = axis_over(latencies, height - bottom, top);
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
      "height=\"{1:g}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height);
  text += label(left, 22, "start", plot.title);
  text += draw_axes(x, y);
  if (plot.goal_us > 0) {
    const double at = y.at(plot.goal_us);
    text += line(x.from, at, x.to, at, "stroke=\"#c00\" stroke-dasharray=\"8 4\"");
    text += label(x.to + 4, at + 4, "start", "goal");
  }
  for (std::size_t i = 0; i < shown.series.size(); ++i) {
    text += draw_series(x, y, shown.series[i], i);
  }
  const double legend = top + 16 + 20 * static_cast<double>(shown.series.size());
  text += label(x.to + 14, legend, "start", "line: p99, dashed: p50");
  return text + "</svg>\n";
}

}  // namespace tocsin::cli::bench
