#include "io/uring/uring_io.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "io/posix/clocks.hpp"
#include "io/posix/files.hpp"
#include "io/uring/buffer_pool.hpp"
#include "io/uring/files.hpp"
#include "io/uring/listeners.hpp"
#include "io/uring/probe.hpp"
#include "io/uring/ring.hpp"
#include "io/uring/streams.hpp"

namespace tocsin::io {
namespace uring {
namespace {

/// The kernel's wait counts CLOCK_MONOTONIC, which stands still while the machine is suspended, and
/// our deadlines do not. Waiting in slices bounds how late a deadline is noticed after a resume.
constexpr Duration wait_slice_max = std::chrono::seconds{30};
/// Completions that one turn handles at most, so that timers and other threads get their share.
constexpr std::size_t completions_per_turn_max = 8192;

class UringIo final : public Io {
 public:
  UringIo(const IoOptions& options, std::unique_ptr<BufferPool> buffers, std::unique_ptr<Ring> ring,
          UniqueFd event)
      : buffers_(std::move(buffers)),
        ring_(std::move(ring)),
        event_(std::move(event)),
        streams_(*ring_, *buffers_, options.streams_max),
        listeners_(*ring_, streams_),
        files_(*ring_),
        boot_id_(posix::read_boot_id()) {
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
    files_.write(file, bytes, offset, false, handler);
  }
  void write_and_sync(FileId file, std::span<const std::byte> bytes, std::uint64_t offset,
                      FileHandler& handler) override {
    files_.write(file, bytes, offset, true, handler);
  }

  void write_directly(FileId file) override { files_.write_directly(file); }
  Result<FileId, Errno> open(const std::string& path, OpenMode mode) override {
    auto fd = posix::open_file(path, mode);
    if (!fd) return Unexpected{fd.error()};
    return files_.adopt(std::move(*fd));
  }
  void close_file(FileId file) override { files_.close(file); }
  Result<std::size_t, Errno> read(FileId file, std::span<std::byte> into,
                                  std::uint64_t offset) override {
    return posix::read_file(files_.descriptor(file), into, offset);
  }
  Result<std::uint64_t, Errno> size(FileId file) override {
    return posix::file_size(files_.descriptor(file));
  }
  Result<void, Errno> truncate(FileId file, std::uint64_t size) override {
    return posix::truncate_file(files_.descriptor(file), size);
  }
  Result<void, Errno> sync(FileId file) override {
    return posix::sync_file(files_.descriptor(file));
  }
  Result<void, Errno> make_directories(const std::string& path) override {
    return posix::make_directories(path);
  }
  Result<void, Errno> sync_directory(const std::string& path) override {
    return posix::sync_directory(path);
  }
  Result<std::vector<std::string>, Errno> list(const std::string& directory) override {
    return posix::list_directory(directory);
  }
  Result<void, Errno> rename(const std::string& from, const std::string& to) override {
    return posix::rename_file(from, to);
  }
  Result<void, Errno> remove(const std::string& path) override { return posix::remove_file(path); }
  Result<void, Errno> lock(const std::string& path) override {
    auto held = posix::lock_file(path);
    if (!held) return Unexpected{held.error()};
    locks_.push_back(std::move(*held));
    return {};
  }

  MonoTime now() const noexcept override { return posix::mono_now(); }
  WallTime wall_now() const noexcept override { return posix::wall_now(); }
  bool wall_trusted() const noexcept override { return posix::wall_trusted(); }
  BootId boot_id() const noexcept override { return boot_id_; }
  void random(std::span<std::byte> into) noexcept override { posix::fill_random(into); }

  void poll(MonoTime deadline) override;
  void wake() noexcept override { ::eventfd_write(event_.get(), 1); }
  Backend backend() const noexcept override { return Backend::uring; }

 private:
  void arm_wake();
  [[nodiscard]] Duration wait_until(MonoTime deadline) const noexcept;
  std::size_t dispatch_all();
  void dispatch(const Completion& completion);
  void drain();

  std::unique_ptr<BufferPool> buffers_;  // Outlives the ring, which writes into it.
  std::unique_ptr<Ring> ring_;
  UniqueFd event_;
  Streams streams_;
  Listeners listeners_;
  Files files_;
  std::vector<UniqueFd> locks_;
  BootId boot_id_;
  std::array<Completion, 128> batch_;  // A member: clearing it each turn would be waste.
};

void UringIo::arm_wake() {
  io_uring_sqe* const sqe = ring_->next_sqe({OpKind::wake, 0, 0});
  // The poll triggers on each write to the eventfd, so its counter is never read.
  io_uring_prep_poll_multishot(sqe, event_.get(), POLLIN);
}

Duration UringIo::wait_until(MonoTime deadline) const noexcept {
  if (deadline == MonoTime::min() || streams_.has_deferred()) return Duration::zero();
  const MonoTime time = now();
  if (deadline <= time) return Duration::zero();
  return deadline - time < wait_slice_max ? deadline - time : wait_slice_max;
}

void UringIo::poll(MonoTime deadline) {
  for (;;) {
    const Duration wait = wait_until(deadline);
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
      if (!completion.more()) arm_wake();
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
      files_.complete(completion);
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
  io_uring_prep_cancel64(ring_->next_sqe({}), 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
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

Result<std::unique_ptr<Io>, std::string> make_uring_io(const IoOptions& options) {
  const KernelProbe probe = probe_kernel();
  if (!probe.usable()) return Unexpected{probe.reason};
  auto buffers = uring::BufferPool::make(options.receive_buffers, options.receive_buffer_size);
  if (!buffers) return Unexpected{buffers.error()};
  auto ring = uring::Ring::make();
  if (!ring) return Unexpected{ring.error()};
  if (const Errno error = (*buffers)->attach((*ring)->raw()); error != 0) {
    return Unexpected{fmt::format("registering receive buffers: {}", std::strerror(error))};
  }
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!event.valid()) return Unexpected{fmt::format("eventfd: {}", std::strerror(errno))};
  return std::unique_ptr<Io>{std::make_unique<uring::UringIo>(options, std::move(*buffers),
                                                              std::move(*ring), std::move(event))};
}

}  // namespace tocsin::io
