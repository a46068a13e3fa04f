#pragma once
// The listening sockets of one UringIo: one multishot accept each.

#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"
#include "io/uring/op.hpp"

namespace tocsin::io::uring {

class Ring;
class Streams;

class Listeners {
 public:
  Listeners(Ring& ring, Streams& streams) noexcept : ring_(ring), streams_(streams) {}

  [[nodiscard]] Result<ListenerId, Errno> open(const Endpoint& endpoint, bool shared,
                                               AcceptHandler& handler);
  [[nodiscard]] Endpoint local_endpoint(ListenerId id) const;
  void close(ListenerId id);
  void complete(const Completion& completion);

 private:
  struct Listener {
    UniqueFd socket;
    AcceptHandler* handler = nullptr;  // Null when closed.
    unsigned operations = 0;           // A slot is reused only when none is in flight.
  };

  [[nodiscard]] std::uint32_t free_slot();
  void arm_accept(std::uint32_t slot);
  void arm_pause(std::uint32_t slot);
  void completed_accept(std::uint32_t slot, const Completion& completion);
  void deliver(std::uint32_t slot, UniqueFd socket);

  Ring& ring_;
  Streams& streams_;
  std::vector<Listener> listeners_;
};

}  // namespace tocsin::io::uring
