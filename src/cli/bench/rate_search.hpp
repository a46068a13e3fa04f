#pragma once
// Finds the highest rate that keeps a goal: doubles until it breaks, then bisects. Knows nothing of
// clocks and sockets.

#include <cstdint>

namespace tocsin::cli::bench {

struct RateSearchOptions {
  double start = 1000;      ///< Events/s of the first step.
  double least = 1;         ///< Below this the search gives up.
  double most = 100e6;      ///< Never above this.
  double precision = 0.05;  ///< Ends when what broke is at most this part above what was kept.
};

class RateSearch {
 public:
  explicit RateSearch(const RateSearchOptions& options) noexcept
      : options_(options), rate_(options.start) {}

  [[nodiscard]] bool done() const noexcept { return done_; }
  /// The rate to try next.
  [[nodiscard]] double rate() const noexcept { return rate_; }
  /// What the step at rate() showed. A step that breaks the goal is tried once more before it
  /// counts: one disturbance of the machine must not decide.
  void report(bool kept) noexcept;
  /// The highest rate that kept the goal; 0 = none did.
  [[nodiscard]] double best() const noexcept { return kept_; }
  /// The lowest rate that broke it; 0 = none did.
  [[nodiscard]] double broken() const noexcept { return broken_; }

 private:
  void choose() noexcept;

  RateSearchOptions options_;
  double rate_;
  double kept_ = 0;
  double broken_ = 0;
  bool second_try_ = false;
  bool done_ = false;
};

}  // namespace tocsin::cli::bench
