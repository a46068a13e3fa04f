#include "io/uring/uring_io.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "io/posix/posix_io.hpp"
#include "io/uring/file_writes.hpp"
#include "io/uring/listeners.hpp"
#include "io/uring/probe.hpp"
#include "io/uring/receiver.hpp"
#include "io/uring/ring.hpp"
#include "io/uring/streams.hpp"

namespace tocsin::io {
namespace uring {
namespace {

/// Completions that one turn handles at most, so that timers and other threads get their share.
constexpr std::size_t completions_per_turn_max = 8192;

class UringIo final : public posix::PosixIo {
 public:
  UringIo(const IoOptions& options, bool multishot, std::unique_ptr<Receiver> receiver,
          std::unique_ptr<Ring> ring, UniqueFd event)
      : multishot_(multishot),
        receiver_(std::move(receiver)),
        ring_(std::move(ring)),
        event_(std::move(event)),
        streams_(*ring_, *receiver_, options.streams_max),
        listeners_(*ring_, streams_, multishot),
        writes_(*ring_, files()) {
    arm_wake();
  }
  ~UringIo() override { drain(); }

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
    writes_.write(file, bytes, offset, false, handler);
  }
  void write_and_sync(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      FileHandler& handler) override {
    writes_.write(file, bytes, offset, true, handler);
  }
  void gather_and_sync(FileId file, std::span<const Piece> pieces, std::uint64_t offset,
                       FileHandler& handler) override {
    writes_.gather(file, pieces, offset, handler);
  }
  void begin_sync_directory(const std::string& path, FileHandler& handler) override {
    writes_.sync_directory(path, handler);
  }

  void poll(MonoTime deadline) override;
  void wake() noexcept override { ::eventfd_write(event_.get(), 1); }
  Backend backend() const noexcept override {
    return multishot_ ? Backend::uring : Backend::uring_single;
  }

 private:
  void arm_wake();
  void woken(const Completion& completion);
  std::size_t dispatch_all();
  void dispatch(const Completion& completion);
  void drain();

  bool multishot_;
  std::unique_ptr<Receiver> receiver_;  // Outlives the ring, which writes into its memory.
  std::unique_ptr<Ring> ring_;
  UniqueFd event_;
  Streams streams_;
  Listeners listeners_;
  FileWrites writes_;
  std::array<Completion, 128> batch_;  // A member: clearing it each turn would be waste.
};

void UringIo::arm_wake() {
  io_uring_sqe* const sqe = ring_->next_sqe({OpKind::wake, 0, 0});
  if (multishot_) {
    // The poll triggers on each write to the eventfd, so its counter is never read.
    io_uring_prep_poll_multishot(sqe, event_.get(), POLLIN);
  } else {
    io_uring_prep_poll_add(sqe, event_.get(), POLLIN);
  }
}

void UringIo::woken(const Completion& completion) {
  if (completion.more()) return;
  eventfd_t count = 0;
  if (!multishot_) ::eventfd_read(event_.get(), &count);
  arm_wake();
}

void UringIo::poll(MonoTime deadline) {
  for (;;) {
    const Duration wait = streams_.has_deferred() ? Duration::zero() : wait_slice(deadline);
    const bool uninterrupted = ring_->submit_and_wait(wait);
    const std::size_t handled = dispatch_all();
    const bool ended = streams_.has_deferred();
    streams_.run_deferred();
    if (handled > 0 || ended || wait == Duration::zero() || !uninterrupted) return;
  }
}

std::size_t UringIo::dispatch_all() {
  std::size_t handled = 0;
  while (handled < completions_per_turn_max) {
    const std::size_t count = ring_->take(batch_);
    for (std::size_t i = 0; i < count; ++i) dispatch(batch_[i]);
    handled += count;
    if (count < batch_.size()) break;
  }
  return handled;
}

void UringIo::dispatch(const Completion& completion) {
  switch (completion.tag.kind) {
    case OpKind::wake:
      woken(completion);
      break;
    case OpKind::accept:
    case OpKind::accept_pause:
    case OpKind::accept_cancel:
      listeners_.complete(completion);
      break;
    case OpKind::connect:
    case OpKind::receive:
    case OpKind::send:
    case OpKind::stream_cancel:
      streams_.complete(completion);
      break;
    case OpKind::file_write:
    case OpKind::file_sync:
      writes_.complete(completion);
      break;
    case OpKind::teardown:
      break;
  }
}

/// Ends what is in flight, so that the kernel touches no buffer once the Io is gone. When the
/// owning thread has ended, the kernel has cancelled its operations already.
void UringIo::drain() {
  if (!ring_->claimed() || !ring_->owned_by_this_thread()) return;
  ring_->drop_pending();
  // One by one: cancelling everything at once is newer (5.19) than what we run on.
  streams_.cancel_all();
  listeners_.cancel_all();
  io_uring_prep_cancel64(ring_->next_sqe({}), OpTag{OpKind::wake, 0, 0}.pack(), 0);
  // Bounded: a write to a dead disk may never end.
  constexpr int rounds_max = 50;
  for (int round = 0; round < rounds_max && ring_->outstanding() > 0; ++round) {
    ring_->submit_and_wait(std::chrono::milliseconds{100});
    std::size_t count = 0;
    do {
      count = ring_->take(batch_);
      for (std::size_t i = 0; i < count; ++i) {
        if (batch_[i].tag.kind != OpKind::accept || batch_[i].result < 0) continue;
        const UniqueFd unwanted{batch_[i].result};
      }
    } while (count == batch_.size());
  }
}

}  // namespace
}  // namespace uring

namespace {

Result<std::unique_ptr<Io>, std::string> make(const IoOptions& options,
                                              const uring::RingFeatures& features) {
  auto ring = uring::Ring::make(features);
  if (!ring) return Unexpected{ring.error()};
  auto receiver = features.multishot ? uring::make_multishot_receiver(options, (*ring)->raw())
                                     : uring::make_single_shot_receiver(options);
  if (!receiver) return Unexpected{receiver.error()};
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) return Unexpected{fmt::format("eventfd: {}", errno_text(errno))};
  return std::unique_ptr<Io>{std::make_unique<uring::UringIo>(
      options, features.multishot, std::move(*receiver), std::move(*ring), std::move(event))};
}

}  // namespace

Result<std::unique_ptr<Io>, std::string> make_uring_io(const IoOptions& options) {
  const KernelProbe probe = probe_kernel();
  if (!probe.multishot_usable()) return Unexpected{probe.multishot_reason};
  return make(options, {});
}

Result<std::unique_ptr<Io>, std::string> make_uring_single_io(const IoOptions& options,
                                                              UringBaseline baseline) {
  const KernelProbe probe = probe_kernel();
  if (!probe.single_shot_usable()) return Unexpected{probe.single_shot_reason};
  const bool oldest = baseline == UringBaseline::linux_5_10 || !probe.extended_wait;
  return make(options, {.multishot = false, .extended_wait = !oldest, .plain_setup = oldest});
}

}  // namespace tocsin::io
