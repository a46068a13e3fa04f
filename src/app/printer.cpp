#include "app/printer.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tocsin::app {
namespace {

// How long a reader that takes nothing is waited for before looking whether to stop.
constexpr int look_ms = 500;
constexpr auto farewell_max = std::chrono::seconds{2};

bool writable(int fd, int timeout_ms) {
  pollfd polled{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&polled, 1, timeout_ms) == 1 && (polled.revents & POLLOUT) != 0;
}

}  // namespace

Printer::Printer(int fd, std::size_t size_max)
    : fd_(fd), size_max_(size_max), thread_([this] { run(); }) {}

Printer::~Printer() { stop(); }

void Printer::stop() {
  {
    const std::scoped_lock guard(mutex_);
    if (!stop_) stop_at_latest_ = std::chrono::steady_clock::now() + farewell_max;
    stop_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool Printer::out_of_time() {
  const std::scoped_lock guard(mutex_);
  return stop_ && std::chrono::steady_clock::now() > stop_at_latest_;
}

bool Printer::print(std::string_view text) {
  {
    const std::scoped_lock guard(mutex_);
    if (stop_ || waiting_.size() + text.size() > size_max_) return false;
    waiting_ += text;
  }
  changed_.notify_one();
  return true;
}

void Printer::run() {
  std::string writing;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      writing.clear();
      writing.swap(waiting_);
    }
    std::string_view rest = writing;
    while (!rest.empty()) {
      if (out_of_time()) return;
      if (!writable(fd_, look_ms)) continue;
      // At most a pipe's atomic size: poll promises room for that much, so write cannot block.
      const ssize_t n = ::write(fd_, rest.data(), std::min<std::size_t>(rest.size(), 4096));
      if (n > 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno != EINTR && errno != EAGAIN) {
        // The reader is gone, or its disk is full: what it cannot have is dropped, so that
        // notifications to it end.
        break;
      }
    }
  }
}

}  // namespace tocsin::app
