#pragma once
// The outside world behind one interface (DESIGN decisions 8 and 13): sockets, files, clocks,
// randomness. One Io per thread; every call except wake() comes from that thread. Completions are
// delivered from poll(), never from inside the call that started the operation.
//
// Errors are positive errno values; 0 is success.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

namespace tocsin::io {

using Errno = int;

/// An IP address and port. IPv4 is held in the first four bytes.
struct Endpoint {
  enum class Family : std::uint8_t { v4, v6 };
  Family family = Family::v4;
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;

  [[nodiscard]] bool is_loopback() const noexcept;
};
/// "127.0.0.1:8080" or "[::1]:8080". Nothing when it is not an IP address with a port.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text);
/// An IP address in canonical form only ("010.0.0.1" and "0x7f.1" are refused).
[[nodiscard]] std::optional<Endpoint> parse_address(std::string_view text, std::uint16_t port);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

/// Handles: a slot and a generation, so that a stale handle is detected, never reused silently.
struct StreamId {
  std::uint32_t slot = UINT32_MAX;
  std::uint32_t generation = 0;
  bool operator==(const StreamId&) const = default;
};
struct ListenerId {
  std::uint32_t slot = UINT32_MAX;
  bool operator==(const ListenerId&) const = default;
};
struct FileId {
  std::uint32_t slot = UINT32_MAX;
  bool operator==(const FileId&) const = default;
};

/// Owner of one connection. Must live until on_closed.
class StreamHandler {
 public:
  /// connect() finished: 0 or an errno. After an errno only close() may follow.
  virtual void on_connected(Errno error) noexcept = 0;
  /// Bytes arrived. The handler must take all of them: the memory is the I/O layer's and is reused
  /// after the call. At least 64 further bytes may be read (their content is arbitrary).
  virtual void on_data(std::span<const std::byte> bytes) noexcept = 0;
  /// The receiving side ended: 0 = orderly end of stream, else an errno. The handler calls close()
  /// now or, after an orderly end, when it has sent what it still wants to send.
  virtual void on_end(Errno error) noexcept = 0;
  /// The whole span given to send() has been sent (0) or never will be (errno).
  virtual void on_sent(Errno error) noexcept = 0;
  /// The last call: after close(), once no operation refers to the handler or its buffers.
  virtual void on_closed() noexcept = 0;

 protected:
  ~StreamHandler() = default;
};

/// How a connection is driven once it is there, plain or through TLS.
class StreamControl {
 public:
  /// Arms receiving (multishot where the kernel has it). No effect when armed.
  virtual void receive_start(StreamId stream) = 0;
  /// Stops arming: the socket's own window becomes the back-pressure. Data that the kernel had
  /// already handed over still arrives through on_data.
  virtual void receive_stop(StreamId stream) = 0;
  /// Sends all of `bytes`, which are borrowed until on_sent. At most one send at a time a stream.
  virtual void send(StreamId stream, std::span<const std::byte> bytes) = 0;
  /// Ends the connection; on_closed follows, and (unless it came before) no other call. An
  /// unfinished send is abandoned.
  virtual void close(StreamId stream) = 0;

 protected:
  ~StreamControl() = default;
};

class AcceptHandler {
 public:
  /// A connection was accepted. Returns its handler, or null to close it at once. Receiving starts
  /// with receive_start().
  virtual StreamHandler* on_accept(StreamId stream, const Endpoint& peer) noexcept = 0;
  /// Accepting failed (for example EMFILE); the I/O layer tries again after a pause.
  virtual void on_accept_error(Errno error) noexcept = 0;

 protected:
  ~AcceptHandler() = default;
};

/// Bytes somewhere in memory; the kernel's iovec.
struct Piece {
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Completion of one file operation.
class FileHandler {
 public:
  /// 0 or an errno. A short write is completed by the I/O layer before it reports success.
  virtual void on_file_done(Errno error) noexcept = 0;

 protected:
  ~FileHandler() = default;
};

enum class OpenMode : std::uint8_t {
  read,
  write_existing,
  create_new,  ///< Fails with EEXIST.
  create_or_open,
};

/// Kinds of I/O that a machine offers; see `tocsin doctor`.
enum class Backend : std::uint8_t {
  uring,         ///< io_uring with multishot operations and provided buffer rings.
  uring_single,  ///< io_uring with single-shot operations.
  epoll,
  sim,
};
[[nodiscard]] std::string_view to_string(Backend backend) noexcept;

class Io : public StreamControl {
 public:
  virtual ~Io() = default;

  // --- streams ---------------------------------------------------------------------------------
  /// Listens (port 0 picks one; see local_endpoint). Accepting starts at once. `shared` lets
  /// several threads' Ios listen on the same endpoint (SO_REUSEPORT).
  virtual Result<ListenerId, Errno> listen(const Endpoint& endpoint, bool shared,
                                           AcceptHandler& handler) = 0;
  [[nodiscard]] virtual Endpoint local_endpoint(ListenerId listener) const = 0;
  /// Stops accepting and frees the listener. Its handler gets no call afterwards.
  virtual void close_listener(ListenerId listener) = 0;

  /// Starts connecting. No timeout of its own: close() gives up.
  virtual Result<StreamId, Errno> connect(const Endpoint& endpoint, StreamHandler& handler) = 0;

  // --- files: asynchronous, for the journal ------------------------------------------------------
  /// Writes all of `bytes` at `offset`; borrowed until on_file_done.
  virtual void write(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                     FileHandler& handler) = 0;
  /// Writes, then makes data durable (fdatasync), as one linked operation.
  virtual void write_and_sync(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                              FileHandler& handler) = 0;
  /// The same with `pieces`, one behind the other from `offset` on; the span and what its pieces
  /// name are borrowed until on_file_done. The first error of any part is the error of all.
  virtual void gather_and_sync(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
                               FileHandler& handler) = 0;
  /// Makes creations, renames and removals in a directory durable that were made before.
  virtual void begin_sync_directory(const std::string& path, FileHandler& handler) = 0;

  // --- files: blocking, for start, segment roll and small files ---------------------------------
  virtual Result<FileId, Errno> open(const std::string& path, OpenMode mode) = 0;
  virtual void close_file(FileId file) = 0;  ///< Not while an operation on it is in flight.
  /// Asks that writes bypass the page cache from now on: their memory, offsets and sizes are
  /// multiples of 4096. Where the file system cannot do that, they go through it as before.
  virtual void write_directly(FileId) {}
  virtual Result<std::size_t, Errno> read(FileId file, std::span<std::byte> into,
                                          std::uint64_t offset) = 0;  ///< Short only at the end.
  virtual Result<std::uint64_t, Errno> size(FileId file) = 0;
  virtual Result<void, Errno> truncate(FileId file, std::uint64_t size) = 0;
  /// Extends a file to `size` with space of its own that reads as zeros, without writing them; what
  /// it holds stays. EOPNOTSUPP where the file system cannot do that.
  virtual Result<void, Errno> allocate(FileId file, std::uint64_t size) = 0;
  virtual Result<void, Errno> sync(FileId file) = 0;
  virtual Result<void, Errno> make_directories(const std::string& path) = 0;
  virtual Result<void, Errno> sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<std::string>, Errno> list(const std::string& directory) = 0;
  virtual Result<void, Errno> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void, Errno> remove(const std::string& path) = 0;
  /// Takes an exclusive lock on `path` (created when missing), held until the Io is destroyed or
  /// the process ends. EWOULDBLOCK when another process holds it.
  virtual Result<void, Errno> lock(const std::string& path) = 0;

  // --- clocks and chance -------------------------------------------------------------------------
  [[nodiscard]] virtual MonoTime now() const noexcept = 0;
  [[nodiscard]] virtual WallTime wall_now() const noexcept = 0;
  /// Whether wall time can be believed (synchronized, or at least past the build date).
  [[nodiscard]] virtual bool wall_trusted() const noexcept = 0;
  [[nodiscard]] virtual BootId boot_id() const noexcept = 0;
  virtual void random(std::span<std::byte> into) noexcept = 0;

  // --- the loop ----------------------------------------------------------------------------------
  /// Submits what is pending and delivers completions; waits until something completes, wake() is
  /// called, or `deadline` passes. A deadline in the past does not wait.
  virtual void poll(MonoTime deadline) = 0;
  /// Ends a wait in poll(), now or the next one. Any thread.
  virtual void wake() noexcept = 0;

  [[nodiscard]] virtual Backend backend() const noexcept = 0;
};

/// What Ios of one process share out of `memory_max`.
struct IoOptions {
  std::uint32_t receive_buffers = 64;         ///< At most, a power of two; epoll needs only one.
  std::uint32_t receive_buffer_size = 16384;  ///< Bytes each: no on_data is larger.
  std::uint32_t streams_max = 16384;          ///< Connections of one Io.
};

}  // namespace tocsin::io
