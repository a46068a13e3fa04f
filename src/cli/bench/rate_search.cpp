#include "cli/bench/rate_search.hpp"

#include <algorithm>
#include <cassert>

namespace tocsin::cli::bench {

void RateSearch::report(bool kept) noexcept {
  assert(!done_);
  if (!kept && !second_try_) {
    second_try_ = true;
    return;
  }
  second_try_ = false;
  (kept ? kept_ : broken_) = rate_;
  choose();
}

void RateSearch::choose() noexcept {
  if (broken_ == 0) {
    done_ = kept_ >= options_.most;
    rate_ = std::min(2 * kept_, options_.most);
  } else if (kept_ == 0) {
    done_ = broken_ <= options_.least;
    rate_ = std::max(broken_ / 2, options_.least);
  } else {
    done_ = broken_ <= kept_ * (1 + options_.precision);
    rate_ = (kept_ + broken_) / 2;
  }
}

}  // namespace tocsin::cli::bench
