#pragma once
// The listening sockets of one EpollIo.

#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

namespace tocsin::io::epoll {

class Poller;
class Streams;

class Listeners {
 public:
  Listeners(Poller& poller, Streams& streams) noexcept : poller_(poller), streams_(streams) {}

  [[nodiscard]] Result<ListenerId, Errno> open(const Endpoint& endpoint, bool shared,
                                               AcceptHandler& handler);
  [[nodiscard]] Endpoint local_endpoint(ListenerId id) const;
  void close(ListenerId id);

  /// An event of the poller: accepts what waits, up to a share of the turn.
  void ready(std::uint32_t slot, std::uint32_t generation);
  /// When a listener ends its rest after an error; MonoTime::max() when none rests.
  [[nodiscard]] MonoTime next_due() const noexcept { return next_due_; }
  /// Wakes the listeners whose rest is over.
  void resume(MonoTime now);

 private:
  struct Listener {
    UniqueFd socket;
    AcceptHandler* handler = nullptr;  // Null when closed.
    std::uint32_t generation = 0;
    MonoTime rest_until = MonoTime::max();
  };

  [[nodiscard]] std::uint32_t free_slot();
  /// False when there is nothing more to accept now.
  [[nodiscard]] bool accept_one(std::uint32_t slot);
  void rest(std::uint32_t slot);

  Poller& poller_;
  Streams& streams_;
  std::vector<Listener> listeners_;
  MonoTime next_due_ = MonoTime::max();
};

}  // namespace tocsin::io::epoll
