#pragma once
// The listening sockets of one UringIo: one accept each, multishot where the kernel has it.

#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"
#include "io/uring/op.hpp"

namespace tocsin::io::uring {

class Ring;
class Streams;

class Listeners {
 public:
  Listeners(Ring& ring, Streams& streams, bool multishot) noexcept
      : ring_(ring), streams_(streams), multishot_(multishot) {}

  [[nodiscard]] Result<ListenerId, Errno> open(const Endpoint& endpoint, bool shared,
                                               AcceptHandler& handler);
  [[nodiscard]] Endpoint local_endpoint(ListenerId id) const;
  void close(ListenerId id);
  void complete(const Completion& completion);
  /// At the end of the Io: makes every operation in flight complete.
  void cancel_all();

 private:
  struct Listener {
    UniqueFd socket;
    AcceptHandler* handler = nullptr;  // Null when closed.
    unsigned operations = 0;           // A slot is reused only when none is in flight.
    bool tired = false;                // Rests as soon as its accept, now cancelled, has ended.
  };

  [[nodiscard]] std::uint32_t free_slot();
  void arm_accept(std::uint32_t slot);
  void cancel_accept(std::uint32_t slot);
  void arm_pause(std::uint32_t slot);
  void cancel(std::uint32_t slot);
  void completed_accept(std::uint32_t slot, const Completion& completion);
  void rearm(std::uint32_t slot, bool more, bool rest);

  Ring& ring_;
  Streams& streams_;
  bool multishot_;
  std::vector<Listener> listeners_;
};

}  // namespace tocsin::io::uring
