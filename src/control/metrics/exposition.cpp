#include "control/metrics/exposition.hpp"

#include <iterator>

#include <fmt/format.h>

namespace tocsin::metrics {
namespace {

constexpr int bucket_exponent_first = 10;  // 1.024 us
constexpr int bucket_exponent_last = 36;   // 68.7 s

std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string label_text(Labels labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    fmt::format_to(std::back_inserter(text), "{}=\"{}\"", name, escaped(value, true));
  }
  return text;
}

std::string braces(std::string_view labels) {
  return labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
}

}  // namespace

Exposition::Family& Exposition::family(std::string_view name, std::string_view help,
                                       std::string_view type) {
  auto it = families_.find(name);
  if (it == families_.end()) {
    it = families_.emplace(std::string(name), Family{}).first;
    it->second.type = type;
    it->second.help = escaped(help, false);
  }
  return it->second;
}

void Exposition::counter(std::string_view name, std::string_view help, Labels labels,
                         std::uint64_t value) {
  family(name, help, "counter").values[label_text(labels)] += static_cast<double>(value);
}

void Exposition::gauge(std::string_view name, std::string_view help, Labels labels, double value) {
  family(name, help, "gauge").values[label_text(labels)] += value;
}

void Exposition::histogram(std::string_view name, std::string_view help, Labels labels,
                           const Histogram& value) {
  HistogramSeries& series = family(name, help, "histogram").histograms[label_text(labels)];
  series.cumulative.resize(bucket_exponent_last - bucket_exponent_first + 1);
  std::uint64_t seen = 0;
  std::size_t index = 0;
  for (int e = bucket_exponent_first; e <= bucket_exponent_last; ++e) {
    const std::uint64_t limit = std::uint64_t{1} << static_cast<unsigned>(e);
    while (index < Histogram::bucket_count && Histogram::bucket_end(index) <= limit) {
      seen += value.bucket(index++);
    }
    series.cumulative[static_cast<std::size_t>(e - bucket_exponent_first)] += seen;
  }
  while (index < Histogram::bucket_count) seen += value.bucket(index++);
  series.count += seen;
  series.sum_seconds += static_cast<double>(value.sum()) / 1e9;
}

std::string Exposition::text() const {
  std::string out;
  auto line = std::back_inserter(out);
  for (const auto& [name, family] : families_) {
    fmt::format_to(line, "# HELP {} {}\n# TYPE {} {}\n", name, family.help, name, family.type);
    for (const auto& [labels, value] : family.values) {
      // 17 digits: an integer counter below 2^53 must come out exact.
      fmt::format_to(line, "{}{} {:.17g}\n", name, braces(labels), value);
    }
    for (const auto& [labels, series] : family.histograms) {
      const std::string_view comma = labels.empty() ? "" : ",";
      for (std::size_t i = 0; i < series.cumulative.size(); ++i) {
        const double limit =
            static_cast<double>(std::uint64_t{1} << (i + bucket_exponent_first)) / 1e9;
        fmt::format_to(line, "{}_bucket{{{}{}le=\"{:g}\"}} {}\n", name, labels, comma, limit,
                       series.cumulative[i]);
      }
      fmt::format_to(line, "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, series.count);
      fmt::format_to(line, "{}_sum{} {:.9g}\n{}_count{} {}\n", name, braces(labels),
                     series.sum_seconds, name, braces(labels), series.count);
    }
  }
  return out;
}

double Exposition::value(std::string_view name, std::string_view labels) const {
  const auto family = families_.find(name);
  if (family == families_.end()) return 0;
  const auto it = family->second.values.find(labels);
  return it == family->second.values.end() ? 0 : it->second;
}

double Exposition::total(std::string_view name) const {
  const auto family = families_.find(name);
  if (family == families_.end()) return 0;
  double sum = 0;
  for (const auto& [labels, value] : family->second.values) sum += value;
  return sum;
}

}  // namespace tocsin::metrics
