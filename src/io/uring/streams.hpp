#pragma once
// The connections of one UringIo.
//
// A slot counts its operations in flight and is reused only when the last has completed: so
// on_closed is truly last.

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"
#include "io/posix/stream_table.hpp"
#include "io/uring/op.hpp"

namespace tocsin::io::uring {

class Receiver;
class Ring;

struct Stream {
  UniqueFd socket;
  StreamHandler* handler = nullptr;
  std::unique_ptr<sockaddr_storage> peer;  // Lives until the connect is over.
  std::span<const std::byte> unsent;
  std::uint32_t generation = 0;
  std::uint32_t operations = 0;  // In flight, cancellations included.
  bool connecting = false;
  bool receive_wanted = false;
  bool receive_armed = false;
  bool receive_ended = false;
  bool flooded = false;  // The last receive was full.
  bool sending = false;
  bool closing = false;
};

class Streams {
 public:
  Streams(Ring& ring, Receiver& receiver, std::uint32_t streams_max)
      : ring_(ring), receiver_(receiver), table_(streams_max) {}

  [[nodiscard]] Result<StreamId, Errno> connect(const Endpoint& endpoint, StreamHandler& handler);
  /// Takes an accepted socket. ENOBUFS when all slots are taken (the socket is closed then).
  [[nodiscard]] Result<StreamId, Errno> adopt(UniqueFd socket);
  /// Gives an adopted stream its handler; null closes it without any call.
  void bind(StreamId id, StreamHandler* handler);
  void receive_start(StreamId id);
  void receive_stop(StreamId id);
  void send(StreamId id, std::span<const std::byte> bytes);
  void close(StreamId id);

  void complete(const Completion& completion);
  /// Whether streams wait for run_deferred(): then poll must not sleep.
  [[nodiscard]] bool has_deferred() const noexcept { return !deferred_.empty(); }
  /// Ends the streams that had no operation in flight when they were closed.
  void run_deferred();
  /// At the end of the Io: makes every operation in flight complete.
  void cancel_all();

 private:
  void cancel(Stream& stream, std::uint32_t slot, OpKind kind);
  void cancel_operations(Stream& stream, std::uint32_t slot);
  void arm_receive(Stream& stream, std::uint32_t slot);
  void submit_send(Stream& stream, std::uint32_t slot);
  void completed_connect(Stream& stream, std::uint32_t slot, const Completion& completion);
  void completed_receive(Stream& stream, std::uint32_t slot, const Completion& completion);
  void take_bytes(Stream& stream, const Completion& completion);
  void end_receiving(Stream& stream, Errno error);
  void completed_send(Stream& stream, std::uint32_t slot, const Completion& completion);
  void completed_cancel(Stream& stream, std::uint32_t slot, const Completion& completion);
  void finish_if_idle(Stream& stream, std::uint32_t slot);

  Ring& ring_;
  Receiver& receiver_;
  posix::StreamTable<Stream> table_;
  std::vector<StreamId> deferred_;
};

}  // namespace tocsin::io::uring
