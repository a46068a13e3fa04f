#include "control/metrics/exposition.hpp"

#include <gtest/gtest.h>

namespace tocsin::metrics {
namespace {

TEST(Exposition, SeriesOfSeveralThreadsAddUp) {
  Exposition e;
  e.counter("tocsin_x_total", "Help.", {{"reason", "a"}}, 2);
  e.counter("tocsin_x_total", "Help.", {{"reason", "a"}}, 3);
  e.counter("tocsin_x_total", "Help.", {{"reason", "b"}}, 1);
  EXPECT_EQ(e.value("tocsin_x_total", "reason=\"a\""), 5);
  EXPECT_EQ(e.text(),
            "# HELP tocsin_x_total Help.\n# TYPE tocsin_x_total counter\n"
            "tocsin_x_total{reason=\"a\"} 5\ntocsin_x_total{reason=\"b\"} 1\n");
}

TEST(Exposition, LargeCountersStayExact) {
  Exposition e;
  e.counter("n_total", "h", {}, 9'007'199'254'740'991);
  EXPECT_NE(e.text().find("n_total 9007199254740991\n"), std::string::npos);
}

TEST(Exposition, LabelValuesAreEscaped) {
  Exposition e;
  e.gauge("g", "h", {{"v", "a\"b\\c\nd"}}, 1);
  EXPECT_NE(e.text().find("g{v=\"a\\\"b\\\\c\\nd\"} 1"), std::string::npos);
}

TEST(Exposition, HistogramBucketsAreCumulativeAndComplete) {
  Histogram h;
  h.record(1'000);              // 1 us
  h.record(2'000'000);          // 2 ms
  h.record(1'000'000'000'000);  // 1000 s: only in +Inf
  Exposition e;
  e.histogram("t_seconds", "h", {}, h);
  const std::string text = e.text();
  EXPECT_NE(text.find("t_seconds_bucket{le=\"1.024e-06\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_seconds_bucket{le=\"68.7195\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos);
  EXPECT_NE(text.find("t_seconds_count 3\n"), std::string::npos);
}

}  // namespace
}  // namespace tocsin::metrics
