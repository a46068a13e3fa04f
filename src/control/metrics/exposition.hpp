#pragma once
// Prometheus text exposition, format 0.0.4, over everything that components describe.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.hpp"

namespace tocsin::metrics {

/// Collects one scrape. Series with the same name and labels (one per thread, say) are added up.
class Exposition final : public MetricSink {
 public:
  void counter(std::string_view name, std::string_view help, Labels labels,
               std::uint64_t value) override;
  void gauge(std::string_view name, std::string_view help, Labels labels, double value) override;
  /// Histograms are in nanoseconds inside and in seconds outside; buckets are the powers of two
  /// from 1 us to about 68 s.
  void histogram(std::string_view name, std::string_view help, Labels labels,
                 const Histogram& value) override;

  [[nodiscard]] std::string text() const;
  /// The value of one series, labels written as `a="b",c="d"`; 0 when there is none.
  [[nodiscard]] double value(std::string_view name, std::string_view labels = {}) const;
  /// All series of that name together.
  [[nodiscard]] double total(std::string_view name) const;

 private:
  struct HistogramSeries {
    std::vector<std::uint64_t> cumulative;
    std::uint64_t count = 0;
    double sum_seconds = 0;
  };
  struct Family {
    std::string_view type;
    std::string help;
    std::map<std::string, double, std::less<>> values;
    std::map<std::string, HistogramSeries, std::less<>> histograms;
  };
  Family& family(std::string_view name, std::string_view help, std::string_view type);
  std::map<std::string, Family, std::less<>> families_;
};

inline constexpr std::string_view exposition_content_type =
    "text/plain; version=0.0.4; charset=utf-8";

}  // namespace tocsin::metrics
