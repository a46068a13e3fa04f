#include "io/epoll/epoll_io.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "io/epoll/file_writer.hpp"
#include "io/epoll/listeners.hpp"
#include "io/epoll/poller.hpp"
#include "io/epoll/streams.hpp"
#include "io/posix/posix_io.hpp"

namespace tocsin::io {
namespace epoll {
namespace {

class EpollIo final : public posix::PosixIo {
 public:
  EpollIo(const IoOptions& options, Poller poller, UniqueFd event)
      : poller_(std::move(poller)),
        event_(std::move(event)),
        streams_(poller_, options),
        listeners_(poller_, streams_),
        writer_(files(), [this] { wake(); }) {}

  /// Watches the event descriptor. 0 or an errno.
  [[nodiscard]] Errno arm_wake() {
    // Edge-triggered: each write to it is an event of its own, so its counter is never read.
    return poller_.add(event_.get(), EPOLLIN | EPOLLET, {SourceKind::wake, 0, 0});
  }

  Result<ListenerId, Errno> listen(const Endpoint& endpoint, bool shared,
                                   AcceptHandler& handler) override {
    return listeners_.open(endpoint, shared, handler);
  }
  Endpoint local_endpoint(ListenerId listener) const override {
    return listeners_.local_endpoint(listener);
  }
  void close_listener(ListenerId listener) override { listeners_.close(listener); }
  Result<StreamId, Errno> connect(const Endpoint& endpoint, StreamHandler& handler) override {
    return streams_.connect(endpoint, handler);
  }
  void receive_start(StreamId stream) override { streams_.receive_start(stream); }
  void receive_stop(StreamId stream) override { streams_.receive_stop(stream); }
  void send(StreamId stream, std::span<const std::byte> bytes) override {
    streams_.send(stream, bytes);
  }
  void close(StreamId stream) override { streams_.close(stream); }
  void write(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
             FileHandler& handler) override {
    writer_.write(file, bytes, offset, false, handler);
  }
  void write_and_sync(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      FileHandler& handler) override {
    writer_.write(file, bytes, offset, true, handler);
  }
  void gather_and_sync(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
                       FileHandler& handler) override {
    writer_.gather(file, pieces, offset, handler);
  }
  void begin_sync_directory(const std::string& path, FileHandler& handler) override {
    writer_.sync_directory(path, handler);
  }

  void poll(MonoTime deadline) override;
  void wake() noexcept override { ::eventfd_write(event_.get(), 1); }
  Backend backend() const noexcept override { return Backend::epoll; }

 private:
  void dispatch(const epoll_event& event);

  Poller poller_;
  UniqueFd event_;
  Streams streams_;
  Listeners listeners_;
  FileWriter writer_;  // Last: its thread uses the others until it has ended.
};

void EpollIo::poll(MonoTime deadline) {
  for (;;) {
    // First what the last turn left to do: above all its sends.
    std::size_t handled = streams_.run();
    const bool waits = handled == 0 && !streams_.has_work();
    const Duration wait =
        waits ? wait_slice(std::min(deadline, listeners_.next_due())) : Duration::zero();
    const auto events = poller_.wait(wait);
    for (const epoll_event& event : events) dispatch(event);
    handled += events.size();
    if (listeners_.next_due() != MonoTime::max()) listeners_.resume(now());
    handled += writer_.deliver();
    handled += streams_.run();
    if (handled > 0 || !waits || wait_slice(deadline) == Duration::zero()) return;
  }
}

void EpollIo::dispatch(const epoll_event& event) {
  const Source source = Source::unpack(event.data.u64);
  switch (source.kind) {
    case SourceKind::wake:
      break;
    case SourceKind::listener:
      listeners_.ready(source.slot, source.generation);
      break;
    case SourceKind::stream:
      streams_.ready({source.slot, source.generation}, event.events);
      break;
  }
}

}  // namespace
}  // namespace epoll

Result<std::unique_ptr<Io>, std::string> make_epoll_io(const IoOptions& options) {
  if (options.receive_buffer_size == 0) {
    return Unexpected{std::string{"receive buffers of no bytes"}};
  }
  const auto refused = [](const char* what, Errno error) {
    return Unexpected{fmt::format("{}: {}", what, errno_text(error))};
  };
  auto poller = epoll::Poller::make();
  if (!poller) return refused("epoll_create", poller.error());
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) return refused("eventfd", errno);
  auto io = std::make_unique<epoll::EpollIo>(options, std::move(*poller), std::move(event));
  if (const Errno error = io->arm_wake()) return refused("epoll_ctl", error);
  return std::unique_ptr<Io>{std::move(io)};
}

}  // namespace tocsin::io
