#include "io/uring/receiver.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "io/uring/buffer_pool.hpp"

namespace tocsin::io::uring {
namespace {

/// Receives what is there, without waiting. `into` is followed by readable bytes.
Received receive_now(int socket, std::span<std::byte> into) {
  const ssize_t n = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
  if (n < 0) return {.bytes = {}, .error = errno};
  if (n == 0) return {.bytes = {}, .ended = true};
  const auto length = static_cast<std::size_t>(n);
  return {.bytes = into.first(length), .full = length == into.size()};
}

class MultishotReceiver final : public Receiver {
 public:
  explicit MultishotReceiver(std::unique_ptr<BufferPool> buffers) : buffers_(std::move(buffers)) {}

  // A multishot fills as many buffers as it finds before anybody can say stop: who then has no room
  // for what they hold must keep a copy. So in a flood each receive is asked for.
  void prepare(io_uring_sqe& sqe, int socket, bool flooded) override {
    if (flooded) {
      io_uring_prep_recv(&sqe, socket, nullptr, 0, 0);
    } else {
      io_uring_prep_recv_multishot(&sqe, socket, nullptr, 0, 0);
    }
    sqe.flags |= IOSQE_BUFFER_SELECT;
    sqe.buf_group = BufferPool::group;
  }
  bool holds(const Completion& /*completion*/) const noexcept override { return true; }
  Received take(const Completion& completion, int /*socket*/) override {
    if (completion.result < 0) return {.bytes = {}, .error = completion.error()};
    if (completion.result == 0) return {.bytes = {}, .ended = true};
    const auto length = static_cast<std::size_t>(completion.result);
    return {.bytes = buffers_->view(completion.buffer(), length),
            .full = length == buffers_->buffer_size()};
  }
  Received take_more(int socket) override { return receive_now(socket, buffers_->spare()); }
  void give_back(const Completion& completion) override {
    if (completion.has_buffer()) buffers_->recycle(completion.buffer());
  }

 private:
  std::unique_ptr<BufferPool> buffers_;
};

/// Before Linux 5.18 a receive that waits keeps the provided buffer it was given, so that idle
/// connections would use them up. Polling holds no memory; one buffer serves all.
class SingleShotReceiver final : public Receiver {
 public:
  explicit SingleShotReceiver(std::size_t size)
      : size_(size), buffer_(std::make_unique<std::byte[]>(size + BufferPool::padding_size)) {}

  void prepare(io_uring_sqe& sqe, int socket, bool /*flooded*/) override {
    io_uring_prep_poll_add(&sqe, socket, POLLIN | POLLRDHUP);
  }
  bool holds(const Completion& /*completion*/) const noexcept override { return false; }
  Received take(const Completion& completion, int socket) override {
    if (completion.result < 0) return {.bytes = {}, .error = completion.error()};
    return take_more(socket);
  }
  Received take_more(int socket) override { return receive_now(socket, {buffer_.get(), size_}); }
  void give_back(const Completion& /*completion*/) override {}

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace

bool transient(Errno error) noexcept {
  return error == EINTR || error == EAGAIN || error == ENOBUFS || error == ECANCELED;
}

Result<std::unique_ptr<Receiver>, std::string> make_multishot_receiver(const IoOptions& options,
                                                                       io_uring& ring) {
  auto buffers = BufferPool::make(options.receive_buffers, options.receive_buffer_size);
  if (!buffers) return Unexpected{buffers.error()};
  if (const Errno error = (*buffers)->attach(ring); error != 0) {
    return Unexpected{fmt::format("registering receive buffers: {}", errno_text(error))};
  }
  return std::unique_ptr<Receiver>{std::make_unique<MultishotReceiver>(std::move(*buffers))};
}

Result<std::unique_ptr<Receiver>, std::string> make_single_shot_receiver(const IoOptions& options) {
  if (options.receive_buffer_size == 0) {
    return Unexpected{std::string{"receive buffers of no bytes"}};
  }
  return std::unique_ptr<Receiver>{
      std::make_unique<SingleShotReceiver>(options.receive_buffer_size)};
}

}  // namespace tocsin::io::uring
