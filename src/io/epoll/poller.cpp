#include "io/epoll/poller.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

namespace tocsin::io::epoll {
namespace {

timespec to_timespec(Duration duration) noexcept {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  timespec time{};
  time.tv_sec = static_cast<std::time_t>(seconds.count());
  time.tv_nsec = static_cast<decltype(time.tv_nsec)>((duration - seconds).count());
  return time;
}

}  // namespace

Result<Poller, Errno> Poller::make() {
  UniqueFd fd{::epoll_create1(EPOLL_CLOEXEC)};
  if (!fd.valid()) return Unexpected{errno};
  return Poller{std::move(fd)};
}

Errno Poller::add(int fd, std::uint32_t events, Source source) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = source.pack();
  return ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

Errno Poller::change(int fd, std::uint32_t events, Source source) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = source.pack();
  return ::epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : errno;
}

int Poller::take_ready(int timeout_ms) noexcept {
  return ::epoll_wait(fd_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms);
}

int Poller::wait_precisely(Duration timeout) noexcept {
  const timespec time = to_timespec(timeout);
  if (nanoseconds_) {
    const int count =
        ::epoll_pwait2(fd_.get(), events_.data(), static_cast<int>(events_.size()), &time, nullptr);
    // EPERM: what older container runtimes answer to calls that they do not know.
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    nanoseconds_ = false;
  }
  // epoll_wait alone counts milliseconds, which would make every short wait too long.
  pollfd self{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  if (::ppoll(&self, 1, &time, nullptr) >= 0) return take_ready(0);
  if (errno != EINVAL) return -1;
  // The process may have no descriptor any more: then none may be asked for either.
  constexpr std::int64_t timeout_ms_max = 1000;
  const auto whole_ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return take_ready(static_cast<int>(std::min<std::int64_t>(whole_ms, timeout_ms_max)));
}

std::span<const epoll_event> Poller::wait(Duration timeout) noexcept {
  const int count = timeout > Duration::zero() ? wait_precisely(timeout) : take_ready(0);
  return std::span{events_}.first(static_cast<std::size_t>(std::max(count, 0)));
}

}  // namespace tocsin::io::epoll
