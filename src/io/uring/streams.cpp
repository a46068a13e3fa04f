#include "io/uring/streams.hpp"

#include <liburing.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "io/posix/sockets.hpp"
#include "io/uring/buffer_pool.hpp"
#include "io/uring/ring.hpp"

namespace tocsin::io::uring {
namespace {

/// One send operation carries a 32-bit length, and the kernel caps it just below 2 GiB.
constexpr std::size_t send_size_max = std::size_t{1} << 30U;

bool transient(Errno error) noexcept {
  return error == EINTR || error == EAGAIN || error == ENOBUFS || error == ECANCELED;
}

}  // namespace

struct Streams::Stream {
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
  bool sending = false;
  bool closing = false;
};

Streams::Streams(Ring& ring, BufferPool& buffers, std::uint32_t streams_max)
    : ring_(ring), buffers_(buffers), streams_max_(streams_max) {
  // Reserved address space; memory is touched only as streams come.
  streams_.reserve(streams_max);
  free_.reserve(streams_max);
}

Streams::~Streams() = default;

Streams::Stream* Streams::find(StreamId id) noexcept {
  if (id.slot >= streams_.size()) return nullptr;
  Stream& stream = streams_[id.slot];
  const bool current = stream.socket.valid() && stream.generation == id.generation;
  return current && !stream.closing ? &stream : nullptr;
}

std::uint32_t Streams::next_generation(std::uint32_t generation) noexcept {
  return (generation + 1) & OpTag::generation_mask;
}

Result<StreamId, Errno> Streams::allocate(UniqueFd socket) {
  std::uint32_t slot = 0;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (streams_.size() < streams_max_) {
    slot = static_cast<std::uint32_t>(streams_.size());
    streams_.emplace_back();
  } else {
    return Unexpected{ENOBUFS};
  }
  assert(!streams_[slot].socket.valid() && streams_[slot].operations == 0);
  streams_[slot].socket = std::move(socket);
  return StreamId{slot, streams_[slot].generation};
}

Result<StreamId, Errno> Streams::adopt(UniqueFd socket) { return allocate(std::move(socket)); }

void Streams::bind(StreamId id, StreamHandler* handler) {
  // Not find(): the owner may have called close() from within on_accept.
  assert(streams_[id.slot].generation == id.generation);
  streams_[id.slot].handler = handler;
  if (handler == nullptr) close(id);
}

Result<StreamId, Errno> Streams::connect(const Endpoint& endpoint, StreamHandler& handler) {
  auto socket = posix::open_stream(endpoint.family);
  if (!socket) return Unexpected{socket.error()};
  const auto id = allocate(std::move(*socket));
  if (!id) return id;
  Stream& stream = streams_[id->slot];
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
  Stream* const stream = find(id);
  if (stream == nullptr || stream->receive_ended) return;
  stream->receive_wanted = true;
  if (!stream->connecting && !stream->receive_armed) arm_receive(*stream, id.slot);
}

void Streams::arm_receive(Stream& stream, std::uint32_t slot) {
  assert(!stream.receive_armed && !stream.closing);
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::receive, stream.generation, slot});
  io_uring_prep_recv_multishot(sqe, stream.socket.get(), nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = BufferPool::group;
  stream.receive_armed = true;
  ++stream.operations;
}

void Streams::receive_stop(StreamId id) {
  Stream* const stream = find(id);
  if (stream == nullptr || !stream->receive_wanted) return;
  stream->receive_wanted = false;
  if (!stream->receive_armed) return;
  cancel_receive(*stream, id.slot);
}

void Streams::cancel_receive(Stream& stream, std::uint32_t slot) {
  // Entries run in order, so this never hits a receive that is armed after it.
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::stream_cancel, stream.generation, slot});
  io_uring_prep_cancel64(sqe, OpTag{OpKind::receive, stream.generation, slot}.pack(), 0);
  ++stream.operations;
}

void Streams::send(StreamId id, std::span<const std::byte> bytes) {
  Stream* const stream = find(id);
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
  Stream* const stream = find(id);
  if (stream == nullptr) return;
  stream->closing = true;
  if (stream->operations == 0) {
    deferred_.push_back(id);
    return;
  }
  io_uring_sqe* const sqe = ring_.next_sqe({OpKind::stream_cancel, id.generation, id.slot});
  io_uring_prep_cancel_fd(sqe, stream->socket.get(), IORING_ASYNC_CANCEL_ALL);
  ++stream->operations;
}

void Streams::run_deferred() {
  // Only those of now: on_closed may close further streams, without end.
  const std::size_t count = deferred_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const StreamId id = deferred_[i];
    Stream& stream = streams_[id.slot];
    if (stream.socket.valid() && stream.generation == id.generation) {
      finish_if_idle(stream, id.slot);
    }
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Streams::finish_if_idle(Stream& stream, std::uint32_t slot) {
  assert(stream.closing);
  if (stream.operations > 0) return;
  StreamHandler* const handler = stream.handler;
  const std::uint32_t generation = next_generation(stream.generation);
  stream = Stream{};
  stream.generation = generation;
  free_.push_back(slot);
  if (handler != nullptr) handler->on_closed();
}

void Streams::complete(const Completion& completion) {
  const std::uint32_t slot = completion.tag.slot;
  assert(slot < streams_.size());
  Stream& stream = streams_[slot];
  if (!stream.socket.valid() || stream.generation != completion.tag.generation) {
    if (completion.has_buffer()) buffers_.recycle(completion.buffer());
    return;
  }
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
  const bool same = stream.socket.valid() && stream.generation == completion.tag.generation;
  if (same && stream.closing) finish_if_idle(stream, slot);
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
  if (completion.has_buffer()) {
    if (completion.result > 0 && !stream.closing) {
      const auto length = static_cast<std::size_t>(completion.result);
      stream.handler->on_data(buffers_.view(completion.buffer(), length));
    }
    buffers_.recycle(completion.buffer());
  }
  if (stream.closing || stream.receive_ended) return;
  if (completion.result == 0 || (completion.result < 0 && !transient(completion.error()))) {
    stream.receive_ended = true;
    stream.receive_wanted = false;
    stream.handler->on_end(completion.error());
  } else if (stream.receive_wanted && !stream.receive_armed) {
    // The kernel ended the multishot: out of buffers (which are back by now), or its queue was
    // full.
    arm_receive(stream, slot);
  }
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
  // EALREADY: an operation is running right now and cannot be cancelled; ENOENT: it was between two
  // rounds of its multishot.
  if (completion.error() != EALREADY && completion.error() != ENOENT) return;
  if (stream.closing) {
    if (completion.error() == ENOENT) return;
    ::shutdown(stream.socket.get(), SHUT_RDWR);
  } else if (!stream.receive_wanted && stream.receive_armed) {
    // A busy peer keeps its multishot running at each of our turns: without this it would go on for
    // ever, and whoever asked to stop would have to keep what comes.
    cancel_receive(stream, slot);
  }
}

}  // namespace tocsin::io::uring
