#include "io/dns/resolver.hpp"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/unique_fd.hpp"

namespace tocsin::io {
namespace {

constexpr std::size_t addresses_max = 16;

std::optional<Endpoint> to_endpoint(const sockaddr* address, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.port = port;
  if (address->sa_family == AF_INET) {
    std::memcpy(endpoint.address.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr,
                4);
    return endpoint;
  }
  if (address->sa_family == AF_INET6) {
    endpoint.family = Endpoint::Family::v6;
    std::memcpy(endpoint.address.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr,
                16);
    return endpoint;
  }
  return std::nullopt;
}

ResolveError to_error(int status) noexcept {
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
      return ResolveError::not_found;
    case ARES_ETIMEOUT:
      return ResolveError::timeout;
    default:
      return ResolveError::failed;
  }
}

// Process-wide state of c-ares, counted by the library itself.
class AresLibrary {
 public:
  AresLibrary() : status_(ares_library_init(ARES_LIB_INIT_ALL)) {}
  AresLibrary(const AresLibrary&) = delete;
  AresLibrary& operator=(const AresLibrary&) = delete;
  ~AresLibrary() { ares_library_cleanup(); }
  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  int status_;
};

class AresResolver final : public Resolver {
 public:
  explicit AresResolver(const ResolverOptions& options)
      : options_(options), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  AresResolver(const AresResolver&) = delete;
  AresResolver& operator=(const AresResolver&) = delete;

  ~AresResolver() override {
    stop_and_join();
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  void stop() noexcept override { stop_and_join(); }

  Result<void, std::string> start() {
    if (library_.status() != ARES_SUCCESS || !wake_.valid()) {
      return Unexpected{std::string("cannot initialize the resolver")};
    }
    ares_options settings{};
    settings.timeout = static_cast<int>(options_.timeout.count());
    settings.tries = options_.tries;
    const int status = ares_init_options(&channel_, &settings, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (status != ARES_SUCCESS) {
      return Unexpected{fmt::format("cannot initialize the resolver: {}", ares_strerror(status))};
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void resolve(const std::string& host, std::uint16_t port, ResolveCallback callback) override {
    if (const auto address = parse_address(host, port)) {
      callback(std::vector<Endpoint>{*address});
      return;
    }
    ResolveError error = ResolveError::busy;
    {
      const std::scoped_lock guard(mutex_);
      if (stop_.load(std::memory_order_acquire)) {
        error = ResolveError::failed;
      } else if (pending_ < options_.pending_max) {
        ++pending_;
        queue_.push_back({host, port, std::move(callback), this});
        callback = nullptr;
      }
    }
    if (callback) {
      callback(Unexpected{error});
    } else {
      wake();
    }
  }

 private:
  struct Request {
    std::string host;
    std::uint16_t port = 0;
    ResolveCallback callback;
    AresResolver* owner = nullptr;
  };

  void stop_and_join() noexcept {
    {
      const std::scoped_lock guard(mutex_);  // What is queued from now on is refused.
      stop_.store(true, std::memory_order_release);
    }
    wake();
    if (thread_.joinable()) thread_.join();
    for (Request& request : std::exchange(queue_, {})) {
      request.callback(Unexpected{ResolveError::failed});
    }
  }

  void wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof(one));
  }

  void run() {
    while (!stop_.load(std::memory_order_acquire)) {
      start_queued();
      // poll, not select: with thousands of connections a descriptor can be above FD_SETSIZE.
      std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
      const int interest = ares_getsock(channel_, sockets.data(), ARES_GETSOCK_MAXNUM);
      std::array<pollfd, ARES_GETSOCK_MAXNUM + 1> polled{};
      polled[0] = {.fd = wake_.get(), .events = POLLIN, .revents = 0};
      nfds_t count = 1;
      for (std::size_t i = 0; i < sockets.size(); ++i) {
        short events = 0;
        if (ARES_GETSOCK_READABLE(static_cast<unsigned>(interest), i)) events |= POLLIN;
        if (ARES_GETSOCK_WRITABLE(static_cast<unsigned>(interest), i)) events |= POLLOUT;
        if (events != 0) polled[count++] = {.fd = sockets[i], .events = events, .revents = 0};
      }
      timeval storage{};
      const timeval* const wait = ares_timeout(channel_, nullptr, &storage);
      const int wait_ms =
          wait == nullptr ? -1 : static_cast<int>(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
      ::poll(polled.data(), count, wait_ms);
      if (polled[0].revents != 0) {
        std::uint64_t drained = 0;
        [[maybe_unused]] const auto got = ::read(wake_.get(), &drained, sizeof(drained));
      }
      for (nfds_t i = 1; i < count; ++i) {
        const auto ready = polled[i].revents;
        ares_process_fd(channel_, (ready & ~POLLOUT) != 0 ? polled[i].fd : ARES_SOCKET_BAD,
                        (ready & POLLOUT) != 0 ? polled[i].fd : ARES_SOCKET_BAD);
      }
      ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // Time-outs.
    }
    ares_cancel(channel_);
  }

  void start_queued() {
    std::deque<Request> taken;
    {
      const std::scoped_lock guard(mutex_);
      taken.swap(queue_);
    }
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    for (Request& request : taken) {
      auto owned = std::make_unique<Request>(std::move(request));
      const std::string host = owned->host;
      ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &on_result, owned.release());
    }
  }

  static void on_result(void* argument, int status, int /*timeouts*/, ares_addrinfo* found) {
    const std::unique_ptr<Request> request(static_cast<Request*>(argument));
    {
      const std::scoped_lock guard(request->owner->mutex_);
      --request->owner->pending_;
    }
    if (status != ARES_SUCCESS) {
      request->callback(Unexpected{to_error(status)});
      return;
    }
    std::vector<Endpoint> endpoints;
    for (auto* node = found->nodes; node != nullptr && endpoints.size() < addresses_max;
         node = node->ai_next) {
      if (auto endpoint = to_endpoint(node->ai_addr, request->port)) {
        endpoints.push_back(*endpoint);
      }
    }
    ares_freeaddrinfo(found);
    if (endpoints.empty()) {
      request->callback(Unexpected{ResolveError::not_found});
    } else {
      request->callback(std::move(endpoints));
    }
  }

  ResolverOptions options_;
  AresLibrary library_;
  UniqueFd wake_;
  ares_channel channel_ = nullptr;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // A look-up costs milliseconds: the lock is not what anybody waits for.
  std::deque<Request> queue_;
  std::size_t pending_ = 0;
  std::thread thread_;
};

}  // namespace

std::string_view to_string(ResolveError error) noexcept {
  switch (error) {
    case ResolveError::not_found:
      return "host name not found";
    case ResolveError::timeout:
      return "name look-up timed out";
    case ResolveError::failed:
      return "name look-up failed";
    case ResolveError::busy:
      return "too many name look-ups at once";
  }
  return "unknown";
}

Result<std::unique_ptr<Resolver>, std::string> make_resolver(const ResolverOptions& options) {
  auto resolver = std::make_unique<AresResolver>(options);
  if (auto started = resolver->start(); !started) return Unexpected{started.error()};
  return std::unique_ptr<Resolver>(std::move(resolver));
}

}  // namespace tocsin::io
