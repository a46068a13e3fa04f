#pragma once
// A network in memory: listeners, connections, and bytes on their way, with bounded windows.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "io/io.hpp"
#include "io/sim/sim_faults.hpp"
#include "io/sim/sim_process.hpp"
#include "io/sim/sim_random.hpp"
#include "io/sim/sim_timeline.hpp"

namespace tocsin::io {

/// All events of one socket are completions of the process that owns it. A stale SocketId is
/// ignored everywhere.
class SimNetwork {
 public:
  SimNetwork(SimTimeline& timeline, SimTrace& trace, const SimFaults& faults, std::uint64_t seed)
      : timeline_(timeline), trace_(trace), faults_(faults), random_(seed) {}

  // --- what programs do -------------------------------------------------------------------------
  Result<ListenerId, Errno> listen(SimProcess& process, const Endpoint& endpoint, bool shared,
                                   AcceptHandler& handler);
  [[nodiscard]] Endpoint local_endpoint(ListenerId listener) const;
  void close_listener(ListenerId listener);
  Result<StreamId, Errno> connect(SimProcess& process, const Endpoint& endpoint,
                                  StreamHandler& handler);
  void receive_start(SocketId id);
  void receive_stop(SocketId id);
  void send(SocketId id, std::span<const std::byte> bytes);
  /// Ends the sending direction only.
  void shut_down(SocketId id);
  void close(SocketId id);

  // --- what happens to them ---------------------------------------------------------------------
  void end_process(const SimProcess& process, SimEnd end);
  void power_off() noexcept { powered_ = false; }
  /// The machine under test runs again after a power cut: it answers with resets what it does not
  /// know any more.
  void boot();
  /// Nothing passes to or from `endpoint` (port 0: the whole address) until heal().
  void partition(const Endpoint& endpoint) { partitions_.push_back(endpoint); }
  void heal(const Endpoint& endpoint);
  void heal_all();
  /// Resets all connections of `endpoint` (port 0: of the whole address).
  void reset(const Endpoint& endpoint);
  void fail_accepts(std::uint64_t count, Errno error) { scripted_accepts_ = {count, error}; }
  void refuse_connects(std::uint64_t count) { scripted_refusals_ = count; }
  [[nodiscard]] std::size_t sockets() const noexcept { return sockets_.size(); }

 private:
  struct Segment {
    std::vector<std::byte> bytes;
    bool end = false;
    Errno error = 0;
  };
  enum class State : std::uint8_t { connecting, open, failed, closing };
  struct Socket {
    SimProcess* process = nullptr;
    std::optional<StreamId> stream;  // Nothing until accepted.
    StreamHandler* handler = nullptr;
    Endpoint local;
    Endpoint remote;
    SocketId peer = UINT64_MAX;
    State state = State::open;
    bool stalled_connect = false;
    // Receiving.
    bool receiving = false;
    bool late_data = false;  // One delivery comes in spite of receive_stop.
    bool delivery_posted = false;
    bool ended = false;
    bool end_reported = false;
    Errno end_error = 0;
    std::deque<Segment> inflight;
    std::size_t inflight_bytes = 0;
    std::deque<std::byte> arrived;
    std::size_t stalled_arrivals = 0;
    MonoTime last_arrival{};
    // Sending.
    bool send_active = false;
    bool send_settled = false;  // Its on_sent is on the way.
    bool shut = false;
    bool unanswered = false;  // Sent bytes to a machine without power.
    Errno broken = 0;
    std::span<const std::byte> unsent;
  };
  struct Listener {
    SimProcess* process = nullptr;
    Endpoint endpoint;
    bool shared = false;
    AcceptHandler* handler = nullptr;
    std::deque<SocketId> backlog;
  };
  struct ScriptedAccepts {
    std::uint64_t count = 0;
    Errno error = 0;
  };

  [[nodiscard]] Socket* find(SocketId id);
  /// Also nothing when the socket was closed by its owner.
  [[nodiscard]] Socket* find_live(SocketId id);
  [[nodiscard]] bool blocked(const Socket& socket) const;
  [[nodiscard]] bool touches(const Socket& socket, const Endpoint& endpoint) const;
  [[nodiscard]] Duration delay();
  [[nodiscard]] Endpoint ephemeral(const SimProcess& process, const Endpoint& towards);
  [[nodiscard]] std::optional<std::uint32_t> find_listener(const Endpoint& endpoint);

  void begin_connect(SocketId id);
  void finish_connect(SocketId id, Errno error);
  void post_accept(std::uint32_t slot);
  void accept(std::uint32_t slot);
  void fail_accept(std::uint32_t slot, Errno error);
  void drop_backlog(Listener& listener);

  void pump(SocketId id);
  void queue_segment(SocketId to, Segment segment);
  void arrive(SocketId id);
  void post_delivery(SocketId id);
  void deliver(SocketId id);
  void deliver_bytes(SocketId id, Socket& socket);
  void deliver_end(Socket& socket);
  void settle_send(SocketId id, Errno error, Duration after);
  void break_socket(SocketId id, Errno error);
  void answer_with_reset(SocketId sender);
  void leave_peer(Socket& socket, bool reset);
  void notice(SimNotice kind, const Socket& socket, std::uint64_t value);

  SimTimeline& timeline_;
  SimTrace& trace_;
  const SimFaults& faults_;
  SimRandom random_;
  std::map<SocketId, Socket> sockets_;
  std::map<std::uint32_t, Listener> listeners_;
  SocketId next_socket_ = 0;
  std::uint32_t next_listener_ = 0;
  std::uint16_t next_port_ = 32768;
  std::vector<Endpoint> partitions_;
  ScriptedAccepts scripted_accepts_;
  std::uint64_t scripted_refusals_ = 0;
  bool powered_ = true;
  std::vector<std::byte> buffer_;
};

}  // namespace tocsin::io
