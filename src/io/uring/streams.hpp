#pragma once
// The connections of one UringIo.
//
// A slot counts its operations in flight and is reused only when the last has completed, with a new
// generation. So a handle or a completion of the past is recognized, and on_closed is truly last.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"
#include "io/uring/op.hpp"

struct sockaddr_storage;

namespace tocsin::io::uring {

class BufferPool;
class Ring;

class Streams {
 public:
  Streams(Ring& ring, BufferPool& buffers, std::uint32_t streams_max);
  ~Streams();

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

 private:
  struct Stream;

  [[nodiscard]] Stream* find(StreamId id) noexcept;
  [[nodiscard]] Result<StreamId, Errno> allocate(UniqueFd socket);
  [[nodiscard]] static std::uint32_t next_generation(std::uint32_t generation) noexcept;
  void arm_receive(Stream& stream, std::uint32_t slot);
  void cancel_receive(Stream& stream, std::uint32_t slot);
  void submit_send(Stream& stream, std::uint32_t slot);
  void completed_connect(Stream& stream, std::uint32_t slot, const Completion& completion);
  void completed_receive(Stream& stream, std::uint32_t slot, const Completion& completion);
  void completed_send(Stream& stream, std::uint32_t slot, const Completion& completion);
  void completed_cancel(Stream& stream, std::uint32_t slot, const Completion& completion);
  void finish_if_idle(Stream& stream, std::uint32_t slot);

  Ring& ring_;
  BufferPool& buffers_;
  std::uint32_t streams_max_;
  std::vector<Stream> streams_;  // Never reallocates: references stay valid across callbacks.
  std::vector<std::uint32_t> free_;
  std::vector<StreamId> deferred_;
};

}  // namespace tocsin::io::uring
