#pragma once
// Counters and histograms that the data path updates without locks, and the way components show
// them. Each instance has ONE writing thread; any thread may read.

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace tocsin {

/// Monotonic count. One writer: a plain load and store instead of a locked add.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A count that several threads change.
class SharedCounter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void sub(std::uint64_t n = 1) noexcept { value_.fetch_sub(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Latency histogram in nanoseconds: 8 buckets per power of two (at most 12.5 % wide), from 1 ns
/// to about 18 minutes; above, the last bucket.
class Histogram {
 public:
  static constexpr std::size_t sub_buckets_log2 = 3;
  static constexpr std::size_t bucket_count = (40 - sub_buckets_log2 + 1) << sub_buckets_log2;

  void record(std::uint64_t value_ns, std::uint64_t n = 1) noexcept {
    bump(buckets_[bucket_of(value_ns)], n);
    bump(sum_, value_ns * n);
  }
  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < (1U << sub_buckets_log2)) return static_cast<std::size_t>(value);
    const auto exponent = static_cast<std::size_t>(std::bit_width(value)) - 1 - sub_buckets_log2;
    const std::size_t index =
        ((exponent + 1) << sub_buckets_log2) +
        static_cast<std::size_t>((value >> exponent) & ((1U << sub_buckets_log2) - 1));
    return index < bucket_count ? index : bucket_count - 1;
  }
  /// Smallest value that falls into the bucket after `index`.
  [[nodiscard]] static constexpr std::uint64_t bucket_end(std::size_t index) noexcept {
    constexpr std::size_t first = std::size_t{1} << sub_buckets_log2;
    if (index < first) return index + 1;
    const std::size_t exponent = (index >> sub_buckets_log2) - 1;
    return std::uint64_t{first + (index & (first - 1)) + 1} << exponent;
  }
  [[nodiscard]] std::uint64_t bucket(std::size_t index) const noexcept {
    return buckets_[index].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t total = 0;
    for (const auto& b : buckets_) total += b.load(std::memory_order_relaxed);
    return total;
  }
  /// Upper bound of the bucket that holds quantile `q` (0..1); 0 when empty.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
    const auto total = count();
    if (total == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(q * static_cast<double>(total - 1)) + 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += bucket(i);
      if (seen >= wanted) return bucket_end(i);
    }
    return bucket_end(bucket_count - 1);
  }
  /// Adds another histogram's contents. For reports; not atomic as a whole.
  void merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < bucket_count; ++i) bump(buckets_[i], other.bucket(i));
    bump(sum_, other.sum());
  }

 private:
  static void bump(std::atomic<std::uint64_t>& cell, std::uint64_t n) noexcept {
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::array<std::atomic<std::uint64_t>, bucket_count> buckets_{};
  std::atomic<std::uint64_t> sum_{0};
};

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Where a component shows its metrics. Same name and labels from several instances are added up.
/// Names follow Prometheus: base units, counters end in _total.
class MetricSink {
 public:
  virtual void counter(std::string_view name, std::string_view help, Labels labels,
                       std::uint64_t value) = 0;
  virtual void gauge(std::string_view name, std::string_view help, Labels labels, double value) = 0;
  virtual void histogram(std::string_view name, std::string_view help, Labels labels,
                         const Histogram& value) = 0;

 protected:
  ~MetricSink() = default;
};

/// A component that shows metrics. describe() may run on any thread.
class MetricSource {
 public:
  virtual void describe(MetricSink& sink) const = 0;

 protected:
  ~MetricSource() = default;
};

}  // namespace tocsin
