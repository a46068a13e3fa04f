#pragma once
// The connections of one EpollIo.
//
// A socket is watched once, edge-triggered, for both directions; what it is ready for is remembered
// here. So starting, stopping and sending cost no further system call, and an idle connection none
// at all. What can go on is put on the agenda, which poll() works off.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"
#include "io/posix/stream_table.hpp"

namespace tocsin::io::epoll {

class Poller;

struct Stream {
  UniqueFd socket;
  StreamHandler* handler = nullptr;
  std::span<const std::byte> unsent;
  std::uint32_t generation = 0;
  Errno connect_error = 0;
  bool connecting = false;
  bool connect_done = false;  ///< on_connected is due.
  bool receive_wanted = false;
  bool receive_ended = false;
  bool readable = false;  ///< The last receive did not empty the socket, or an event came since.
  bool hung_up = false;   ///< An end or an error waits behind the data.
  bool sending = false;
  bool writable = true;  ///< The last send was not cut short, or an event came since.
  bool closing = false;
  bool on_agenda = false;
};

class Streams {
 public:
  Streams(Poller& poller, const IoOptions& options);

  [[nodiscard]] Result<StreamId, Errno> connect(const Endpoint& endpoint, StreamHandler& handler);
  /// Takes an accepted socket. On an error (ENOBUFS: all slots are taken) it is closed.
  [[nodiscard]] Result<StreamId, Errno> adopt(UniqueFd socket);
  /// Gives an adopted stream its handler; null closes it without any call.
  void bind(StreamId id, StreamHandler* handler);
  void receive_start(StreamId id);
  void receive_stop(StreamId id);
  void send(StreamId id, std::span<const std::byte> bytes);
  void close(StreamId id);

  /// An event of the poller.
  void ready(StreamId id, std::uint32_t events);
  /// Whether run() has something to do: then poll must not sleep.
  [[nodiscard]] bool has_work() const noexcept { return !agenda_.empty(); }
  /// Goes through the agenda once; what handlers add waits for the next time. Returns the number of
  /// handlers called.
  std::size_t run();

 private:
  using Table = posix::StreamTable<Stream>;

  void enlist(Stream& stream, StreamId id);
  void step(Stream& stream, StreamId id);
  void tell_connected(Stream& stream);
  void send_some(Stream& stream, StreamId id);
  void receive_some(Stream& stream, StreamId id);
  void end_receiving(Stream& stream, Errno error);

  Poller& poller_;
  Table table_;
  // One buffer for all: a handler takes its bytes at once, so they are still in the cache.
  std::size_t buffer_size_;
  std::unique_ptr<std::byte[]> buffer_;
  std::vector<StreamId> agenda_;
  std::vector<StreamId> running_;
  std::size_t calls_ = 0;
};

}  // namespace tocsin::io::epoll
