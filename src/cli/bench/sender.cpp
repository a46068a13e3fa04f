#include "cli/bench/sender.hpp"

namespace tocsin::cli::bench {

void Sender::pump(MonoTime now) noexcept {
  eager_ = false;
  if (!ready()) return;
  const bool paced = session_.interval_ns > 0;
  while (window_open() && (paced ? started_ < granted_ : session_.sends_left > 0)) {
    // With a rate, latency counts from when the event was due, even if the window was closed then.
    const MonoTime intended = paced ? session_.due(index_ + started_ * session_.senders) : now;
    if (!write_one(intended)) break;
    ++started_;
    session_.last_send = now;
    if (!paced) --session_.sends_left;
  }
  flush();
}

}  // namespace tocsin::cli::bench
