#pragma once
// How bytes come in: into buffers that the kernel picks (Linux 6.0), with one multishot operation a
// connection, or with one poll per arrival and a receive of our own (any io_uring).

#include <memory>
#include <span>
#include <string>

#include "io/io.hpp"
#include "io/uring/op.hpp"

struct io_uring;
struct io_uring_sqe;

namespace tocsin::io::uring {

/// What one completion, or one call for more, brought.
struct Received {
  std::span<const std::byte> bytes;  ///< Valid until give_back(), or the next take.
  Errno error = 0;
  bool ended = false;  ///< An orderly end.
  bool full = false;   ///< All that there was room for: the socket probably holds more.
};

class Receiver {
 public:
  virtual ~Receiver() = default;
  /// Fills an entry that completes when bytes, an end or an error have come to `socket`. `flooded`:
  /// what came last was full.
  virtual void prepare(io_uring_sqe& sqe, int socket, bool flooded) = 0;
  /// Whether such a completion brought what would be lost if nobody took it.
  [[nodiscard]] virtual bool holds(const Completion& completion) const noexcept = 0;
  /// What such a completion brought. An error that passes (see transient()) brings nothing.
  [[nodiscard]] virtual Received take(const Completion& completion, int socket) = 0;
  /// After a full one, while nothing is armed: what there is, without waiting.
  [[nodiscard]] virtual Received take_more(int socket) = 0;
  /// After each completion, used or not.
  virtual void give_back(const Completion& completion) = 0;
};

/// Errors after which receiving is simply armed again.
[[nodiscard]] bool transient(Errno error) noexcept;

/// Registers its buffers with the ring, and must be destroyed after it.
[[nodiscard]] Result<std::unique_ptr<Receiver>, std::string> make_multishot_receiver(
    const IoOptions& options, io_uring& ring);
[[nodiscard]] Result<std::unique_ptr<Receiver>, std::string> make_single_shot_receiver(
    const IoOptions& options);

}  // namespace tocsin::io::uring
