#include "stages/deliver/patience.hpp"

#include <algorithm>

namespace tocsin::deliver {
namespace {

// A receiver that answered this recently may be about to answer again: far peers, a TLS handshake.
constexpr Duration answer_recent = std::chrono::seconds{1};

}  // namespace

MonoTime Patience::due() const noexcept {
  if (!asking_) return MonoTime::max();
  return std::min(charged_to_ + credit_, answered_ + answer_recent);
}

void Patience::update(Fill fill, MonoTime now) noexcept {
  if (asking_) credit_ -= std::min(credit_, now - charged_to_);
  charged_to_ = now;
  if (fill == Fill::low) credit_ = credit_max;
  ask(fill == Fill::high && credit_ > Duration::zero() && now < answered_ + answer_recent);
}

void Patience::ask(bool wait) noexcept {
  if (wait == asking_) return;
  asking_ = wait;
  if (wait) {
    pacing_.ask_to_wait();
  } else {
    pacing_.stop_asking();
  }
}

}  // namespace tocsin::deliver
