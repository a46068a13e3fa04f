#include "io/uring/streams.hpp"

#include <liburing.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "io/posix/sockets.hpp"
#include "io/uring/receiver.hpp"
#include "io/uring/ring.hpp"

namespace tocsin::io::uring {
namespace {

/// One send operation carries a 32-bit length, and the kernel caps it just below 2 GiB.
constexpr std::size_t send_size_max = std::size_t{1} << 30U;

/// Receives that one completion may lead to before others have their turn.
constexpr int receives_per_turn_max = 4;

}  // namespace

Result<StreamId, Errno> Streams::adopt(UniqueFd socket) {
  return table_.allocate(std::move(socket));
}

void Streams::bind(StreamId id, StreamHandler* handler) {
  // Not open(): the owner may have called close() from within on_accept.
  Stream* const stream = table_.current(id);
  assert(stream != nullptr);
  stream->handler = handler;
  if (handler == nullptr) close(id);
}

Result<StreamId, Errno> Streams::connect(const Endpoint& endpoint, StreamHandler& handler) {
  auto socket = posix::open_stream(endpoint.family);
  if (!socket) return Unexpected{socket.error()};
  const auto id = table_.allocate(std::move(*socket));
  if (!id) return id;
  Stream& stream = *table_.current(*id);
  stream.handler = &handler;
  stream.connecting = true;
  stream.peer = std::make_unique<sockaddr_storage>();
  const socklen_t length = posix::to_sockaddr(endpoint, *stream.peer);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::connect, id->generation, id->slot});
  io_uring_prep_connect(sqe, stream.socket.get(),
                        reinterpret_cast<const sockaddr*>(stream.peer.get()), length);
  ++stream.operations;
  return id;
}

void Streams::receive_start(StreamId id) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr || stream->receive_ended) return;
  stream->receive_wanted = true;
  if (!stream->connecting && !stream->receive_armed) arm_receive(*stream, id.slot);
}

void Streams::arm_receive(Stream& stream, std::uint32_t slot) {
  assert(!stream.receive_armed && !stream.closing);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::receive, stream.generation, slot});
  receiver_.prepare(*sqe, stream.socket.get(), stream.flooded);
  stream.receive_armed = true;
  ++stream.operations;
}

void Streams::receive_stop(StreamId id) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr || !stream->receive_wanted) return;
  stream->receive_wanted = false;
  if (stream->receive_armed) cancel(*stream, id.slot, OpKind::receive);
}

void Streams::cancel(Stream& stream, std::uint32_t slot, OpKind kind) {
  // Entries run in order, so this never hits an operation that is armed after it.
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::stream_cancel, stream.generation, slot});
  io_uring_prep_cancel64(sqe, OpTag{kind, stream.generation, slot}.pack(), 0);
  ++stream.operations;
}

void Streams::cancel_operations(Stream& stream, std::uint32_t slot) {
  if (stream.connecting) cancel(stream, slot, OpKind::connect);
  if (stream.receive_armed) cancel(stream, slot, OpKind::receive);
  if (stream.sending) cancel(stream, slot, OpKind::send);
}

void Streams::cancel_all() {
  auto& slots = table_.slots();
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
    Stream& stream = slots[slot];
    if (!stream.socket.valid() || stream.operations == 0) continue;
    cancel_operations(stream, slot);
    // What is between two rounds of a multishot, or runs this moment, escapes a cancellation.
    if (!stream.connecting) ::shutdown(stream.socket.get(), SHUT_RDWR);
  }
}

void Streams::send(StreamId id, std::span<const std::byte> bytes) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr) return;
  assert(!stream->sending);
  stream->sending = true;
  stream->unsent = bytes;
  submit_send(*stream, id.slot);
}

void Streams::submit_send(Stream& stream, std::uint32_t slot) {
  const auto length = std::min(stream.unsent.size(), send_size_max);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::send, stream.generation, slot});
  // MSG_WAITALL lets the kernel itself go on after a short send where it can.
  io_uring_prep_send(sqe, stream.socket.get(), stream.unsent.data(), length,
                     MSG_NOSIGNAL | MSG_WAITALL);
  ++stream.operations;
}

void Streams::close(StreamId id) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr) return;
  stream->closing = true;
  if (stream->operations == 0) {
    deferred_.push_back(id);
    return;
  }
  cancel_operations(*stream, id.slot);
}

void Streams::run_deferred() {
  // Only those of now: on_closed may close further streams, without end.
  const std::size_t count = deferred_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const StreamId id = deferred_[i];
    if (Stream* const stream = table_.current(id)) finish_if_idle(*stream, id.slot);
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Streams::finish_if_idle(Stream& stream, std::uint32_t slot) {
  assert(stream.closing);
  if (stream.operations > 0) return;
  StreamHandler* const handler = stream.handler;
  table_.release(slot);
  if (handler != nullptr) handler->on_closed();
}

void Streams::complete(const Completion& completion) {
  const std::uint32_t slot = completion.tag.slot;
  const StreamId id{slot, completion.tag.generation};
  Stream* const current = table_.current(id);
  if (current == nullptr) {
    receiver_.give_back(completion);
    return;
  }
  Stream& stream = *current;
  if (!completion.more()) {
    assert(stream.operations > 0);
    --stream.operations;
  }
  switch (completion.tag.kind) {
    case OpKind::connect:
      completed_connect(stream, slot, completion);
      break;
    case OpKind::receive:
      completed_receive(stream, slot, completion);
      break;
    case OpKind::send:
      completed_send(stream, slot, completion);
      break;
    default:
      completed_cancel(stream, slot, completion);
      break;
  }
  // A handler that closed the stream just now put it on the deferred list; ending it here already
  // is as good, since this runs inside poll as well.
  if (table_.current(id) != nullptr && stream.closing) finish_if_idle(stream, slot);
}

void Streams::completed_connect(Stream& stream, std::uint32_t slot, const Completion& completion) {
  stream.connecting = false;
  stream.peer.reset();
  if (stream.closing) return;
  if (completion.error() != 0) stream.receive_ended = true;
  stream.handler->on_connected(completion.error());
  const bool arm = stream.receive_wanted && !stream.receive_armed && !stream.receive_ended;
  if (!stream.closing && arm) arm_receive(stream, slot);
}

void Streams::completed_receive(Stream& stream, std::uint32_t slot, const Completion& completion) {
  if (!completion.more()) stream.receive_armed = false;
  const bool due = stream.receive_wanted || receiver_.holds(completion);
  if (due && !stream.closing && !stream.receive_ended) take_bytes(stream, completion);
  receiver_.give_back(completion);
  if (stream.closing || stream.receive_ended) return;
  // A multishot ends when it is out of buffers (which are back by now) or its queue was full.
  if (stream.receive_wanted && !stream.receive_armed) arm_receive(stream, slot);
}

void Streams::take_bytes(Stream& stream, const Completion& completion) {
  Received received = receiver_.take(completion, stream.socket.get());
  for (int call = 1;; ++call) {
    if (received.ended || (received.error != 0 && !transient(received.error))) {
      end_receiving(stream, received.error);
      return;
    }
    if (received.bytes.empty()) return;
    stream.flooded = received.full;
    stream.handler->on_data(received.bytes);
    const bool goes_on = stream.receive_wanted && !stream.closing && !stream.receive_armed;
    if (!received.full || !goes_on || call == receives_per_turn_max) return;
    received = receiver_.take_more(stream.socket.get());
  }
}

void Streams::end_receiving(Stream& stream, Errno error) {
  stream.receive_ended = true;
  stream.receive_wanted = false;
  stream.handler->on_end(error);
}

void Streams::completed_send(Stream& stream, std::uint32_t slot, const Completion& completion) {
  assert(stream.sending);
  if (stream.closing) return;
  Errno error = completion.error();
  if (error == 0) {
    const auto sent = static_cast<std::size_t>(completion.result);
    assert(sent <= stream.unsent.size());
    stream.unsent = stream.unsent.subspan(sent);
    // A stream socket takes at least one byte or fails; never spin on a kernel that does neither.
    if (sent == 0 && !stream.unsent.empty()) error = EPIPE;
  } else if (error == EINTR || error == EAGAIN) {
    error = 0;
  }
  if (error == 0 && !stream.unsent.empty()) {
    submit_send(stream, slot);
    return;
  }
  stream.sending = false;
  stream.unsent = {};
  stream.handler->on_sent(error);
}

void Streams::completed_cancel(Stream& stream, std::uint32_t slot, const Completion& completion) {
  // EALREADY: an operation is running right now and cannot be cancelled; ENOENT: it has completed,
  // or was between two rounds of its multishot.
  if (completion.error() != EALREADY && completion.error() != ENOENT) return;
  if (stream.closing) {
    // A connect is taken up again after a shutdown; when it cannot be cancelled it is about to end.
    if (stream.operations > 0 && !stream.connecting) ::shutdown(stream.socket.get(), SHUT_RDWR);
  } else if (!stream.receive_wanted && stream.receive_armed) {
    // A busy peer keeps its multishot running at each of our turns: without this it would go on for
    // ever, and whoever asked to stop would have to keep what comes.
    cancel(stream, slot, OpKind::receive);
  }
}

}  // namespace tocsin::io::uring
