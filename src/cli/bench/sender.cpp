#include "cli/bench/sender.hpp"

namespace tocsin::cli::bench {

void Sender::pump(MonoTime now) noexcept {
  eager_ = false;
  if (!ready()) return;
  const std::uint64_t before = started_;
  if (session_.interval_ns > 0) {
    // With a rate, latency counts from when the event was due, even if the window was closed then.
    while (started_ < granted_) {
      if (write_some(1, session_.due(index_ + started_ * session_.senders)) == 0) break;
      ++started_;
    }
  } else if (session_.sends_left > 0) {
    const std::uint64_t written = write_some(session_.sends_left, now);
    started_ += written;
    session_.sends_left -= written;
  }
  if (started_ != before) session_.last_send = now;
  on_pumped(now);
  flush();
}

}  // namespace tocsin::cli::bench
