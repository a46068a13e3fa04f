#include "io/epoll/streams.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "io/epoll/poller.hpp"
#include "io/posix/sockets.hpp"

namespace tocsin::io::epoll {
namespace {

constexpr std::uint32_t stream_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t end_events = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
/// System calls that one stream gets before others have their turn.
constexpr int calls_per_turn_max = 4;
/// Readable bytes after the data: parsers may load whole vectors.
constexpr std::size_t padding_size = 64;

}  // namespace

Streams::Streams(Poller& poller, const IoOptions& options)
    : poller_(poller),
      table_(options.streams_max),
      buffer_size_(options.receive_buffer_size),
      buffer_(std::make_unique<std::byte[]>(buffer_size_ + padding_size)) {}

void Streams::enlist(Stream& stream, StreamId id) {
  if (std::exchange(stream.on_agenda, true)) return;
  agenda_.push_back(id);
}

Result<StreamId, Errno> Streams::connect(const Endpoint& endpoint, StreamHandler& handler) {
  auto socket = posix::open_stream(endpoint.family, SOCK_NONBLOCK);
  if (!socket) return Unexpected{socket.error()};
  const int fd = socket->get();
  const auto id = table_.allocate(std::move(*socket));
  if (!id) return id;
  Stream& stream = *table_.current(*id);
  stream.handler = &handler;
  stream.connecting = true;
  sockaddr_storage address;
  const socklen_t length = posix::to_sockaddr(endpoint, address);
  const bool done = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0;
  Errno error = done ? 0 : errno;
  const bool waits = error == EINPROGRESS || error == EINTR;
  // Not before connect(): an unconnected socket reports a hang-up.
  if (done || waits) {
    if (const Errno refused =
            poller_.add(fd, stream_events, {SourceKind::stream, id->generation, id->slot})) {
      error = refused;
    } else if (waits) {
      return id;
    }
  }
  stream.connect_error = error;
  stream.connect_done = true;
  enlist(stream, *id);
  return id;
}

Result<StreamId, Errno> Streams::adopt(UniqueFd socket) {
  const int fd = socket.get();
  const auto id = table_.allocate(std::move(socket));
  if (!id) return id;
  const Errno error =
      poller_.add(fd, stream_events, {SourceKind::stream, id->generation, id->slot});
  if (error == 0) return id;
  table_.release(id->slot);
  return Unexpected{error};
}

void Streams::bind(StreamId id, StreamHandler* handler) {
  // Not open(): the owner may have called close() from within on_accept.
  Stream* const stream = table_.current(id);
  assert(stream != nullptr);
  stream->handler = handler;
  if (handler == nullptr) close(id);
}

void Streams::receive_start(StreamId id) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr || stream->receive_ended) return;
  stream->receive_wanted = true;
  if (stream->readable && !stream->connecting) enlist(*stream, id);
}

void Streams::receive_stop(StreamId id) {
  if (Stream* const stream = table_.open(id)) stream->receive_wanted = false;
}

void Streams::send(StreamId id, std::span<const std::byte> bytes) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr) return;
  assert(!stream->sending);
  stream->sending = true;
  stream->unsent = bytes;
  if (stream->writable && !stream->connecting) enlist(*stream, id);
}

void Streams::close(StreamId id) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr) return;
  stream->closing = true;
  enlist(*stream, id);
}

void Streams::ready(StreamId id, std::uint32_t events) {
  Stream* const stream = table_.open(id);
  if (stream == nullptr) return;
  if (stream->connecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    stream->connect_error = posix::take_error(stream->socket.get());
    stream->connect_done = true;
  }
  if ((events & (EPOLLIN | end_events)) != 0) stream->readable = true;
  if ((events & end_events) != 0) stream->hung_up = true;
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) stream->writable = true;
  const bool receives = stream->readable && stream->receive_wanted;
  const bool sends = stream->writable && stream->sending;
  if (stream->connect_done || receives || sends) enlist(*stream, id);
}

std::size_t Streams::run() {
  calls_ = 0;
  running_.clear();
  running_.swap(agenda_);
  for (const StreamId id : running_) {
    Stream* const stream = table_.current(id);
    if (stream == nullptr) continue;
    stream->on_agenda = false;
    step(*stream, id);
  }
  return calls_;
}

void Streams::step(Stream& stream, StreamId id) {
  if (stream.closing) {
    StreamHandler* const handler = stream.handler;
    table_.release(id.slot);
    if (handler == nullptr) return;
    ++calls_;
    handler->on_closed();
    return;
  }
  if (std::exchange(stream.connect_done, false)) tell_connected(stream);
  if (stream.sending && stream.writable && !stream.closing) send_some(stream, id);
  if (stream.receive_wanted && stream.readable && !stream.closing) receive_some(stream, id);
}

void Streams::tell_connected(Stream& stream) {
  stream.connecting = false;
  if (stream.connect_error != 0) {
    stream.receive_ended = true;
    stream.receive_wanted = false;
  }
  ++calls_;
  stream.handler->on_connected(stream.connect_error);
}

void Streams::send_some(Stream& stream, StreamId id) {
  Errno error = 0;
  for (int call = 0; !stream.unsent.empty(); ++call) {
    if (call == calls_per_turn_max) {
      enlist(stream, id);
      return;
    }
    const ssize_t n = ::send(stream.socket.get(), stream.unsent.data(), stream.unsent.size(),
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      stream.unsent = stream.unsent.subspan(static_cast<std::size_t>(n));
      if (stream.unsent.empty()) break;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n == 0 || errno != EAGAIN) {
      error = n == 0 ? EPIPE : errno;
      break;
    }
    // Cut short or refused: the socket is full, and an event tells when it is not.
    stream.writable = false;
    return;
  }
  stream.sending = false;
  stream.unsent = {};
  ++calls_;
  stream.handler->on_sent(error);
}

void Streams::receive_some(Stream& stream, StreamId id) {
  for (int call = 0; call < calls_per_turn_max; ++call) {
    const ssize_t n = ::recv(stream.socket.get(), buffer_.get(), buffer_size_, MSG_DONTWAIT);
    if (n > 0) {
      const auto size = static_cast<std::size_t>(n);
      // Less than asked for: the socket is empty, unless its end is yet to be read.
      if (size < buffer_size_ && !stream.hung_up) stream.readable = false;
      ++calls_;
      stream.handler->on_data({buffer_.get(), size});
      if (stream.closing || !stream.receive_wanted || !stream.readable) return;
    } else if (n == 0) {
      end_receiving(stream, 0);
      return;
    } else if (errno == EAGAIN) {
      stream.readable = false;
      return;
    } else if (errno != EINTR) {
      end_receiving(stream, errno);
      return;
    }
  }
  enlist(stream, id);
}

void Streams::end_receiving(Stream& stream, Errno error) {
  stream.receive_ended = true;
  stream.receive_wanted = false;
  ++calls_;
  stream.handler->on_end(error);
}

}  // namespace tocsin::io::epoll
