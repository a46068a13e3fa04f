#pragma once
// Exponential back-off with jitter for reconnecting. Sans I/O: the caller brings the randomness.

#include <algorithm>
#include <cassert>
#include <cstdint>

#include <tocsin/time.hpp>

namespace tocsin::flow {

class Backoff {
 public:
  Backoff(Duration min, Duration max) noexcept : min_(min), max_(max), next_(min) {
    assert(min > Duration::zero());
    assert(min <= max);
  }
  /// The wait before the next try: between half and all of a step that doubles from min to max.
  /// Jitter keeps a thousand gateways from returning in the same second.
  [[nodiscard]] Duration next(std::uint64_t random) noexcept {
    const Duration step = next_;
    next_ = std::min(max_, next_ * 2);
    const Duration half = step / 2;
    return half + Duration{static_cast<Duration::rep>(
                      random % (static_cast<std::uint64_t>(half.count()) + 1))};
  }
  void reset() noexcept { next_ = min_; }

 private:
  Duration min_;
  Duration max_;
  Duration next_;
};

}  // namespace tocsin::flow
