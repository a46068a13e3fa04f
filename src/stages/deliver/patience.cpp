#include "stages/deliver/patience.hpp"

#include <algorithm>

namespace tocsin::deliver {
namespace {

// A receiver that answered this recently keeps answering, as far as anybody can tell.
constexpr Duration answer_recent = std::chrono::milliseconds{250};
// The longest that one lane may hold up everybody in one go.
constexpr Duration wait_max = std::chrono::seconds{1};

}  // namespace

MonoTime Patience::due() const noexcept {
  if (!asking_) return MonoTime::max();
  return std::min(*filling_since_ + wait_max, answered_ + answer_recent);
}

void Patience::update(bool filling, MonoTime now) noexcept {
  if (!filling) {
    filling_since_.reset();
    return ask(false);
  }
  if (!filling_since_) filling_since_ = now;
  ask(now < *filling_since_ + wait_max && now < answered_ + answer_recent);
}

void Patience::ask(bool wait) noexcept {
  if (wait == asking_) return;
  asking_ = wait;
  if (wait) {
    pool_.ask_to_wait();
  } else {
    pool_.stop_asking();
  }
}

}  // namespace tocsin::deliver
