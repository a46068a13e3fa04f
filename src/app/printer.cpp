#include "app/printer.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tocsin::app {
namespace {

// After stop the reader gets this long for each piece.
constexpr int farewell_ms = 500;

bool writable(int fd, int timeout_ms) {
  pollfd polled{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&polled, 1, timeout_ms) == 1 && (polled.revents & POLLOUT) != 0;
}

}  // namespace

Printer::Printer(int fd, std::size_t size_max)
    : fd_(fd), size_max_(size_max), thread_([this] { run(); }) {}

Printer::~Printer() {
  {
    const std::scoped_lock guard(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool Printer::print(std::string_view text) {
  {
    const std::scoped_lock guard(mutex_);
    if (waiting_.size() + text.size() > size_max_) return false;
    waiting_ += text;
  }
  changed_.notify_one();
  return true;
}

void Printer::run() {
  std::string writing;
  for (;;) {
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      writing.clear();
      writing.swap(waiting_);
    }
    std::string_view rest = writing;
    while (!rest.empty()) {
      {
        const std::scoped_lock guard(mutex_);
        stopping = stop_;
      }
      if (!writable(fd_, farewell_ms)) {
        if (stopping) return;
        continue;
      }
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
