#include "cli/bench/connection.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/errno_text.hpp"

namespace tocsin::cli::bench {
namespace {

// Large sends are what makes events cheap; but the buffers of many connections must not fall out of
// the processor's cache, or memory is what is measured.
constexpr std::size_t buffer_size_largest = std::size_t{64} * 1024;
constexpr std::size_t buffer_size_least = std::size_t{4} * 1024;
constexpr std::size_t buffers_size_all = std::size_t{4} * 1024 * 1024;
constexpr std::size_t receive_size_max = std::size_t{64} * 1024;

std::size_t buffer_size(std::size_t message_size_max, std::uint32_t connections) {
  const std::size_t fair =
      std::clamp(buffers_size_all / connections / 2, buffer_size_least, buffer_size_largest);
  return std::max(fair, 2 * message_size_max);
}

}  // namespace

Connection::Connection(io::Io& io, Tally& tally, std::size_t message_size_max,
                       std::uint32_t connections)
    : io_(io),
      tally_(tally),
      buffer_size_(buffer_size(message_size_max, connections)),
      partial_size_max_(message_size_max + receive_size_max),
      partial_(std::make_unique_for_overwrite<char[]>(partial_size_max_)) {
  for (auto& buffer : buffers_) buffer = std::make_unique_for_overwrite<char[]>(buffer_size_);
}

void Connection::connect(const io::Endpoint& server) {
  const auto stream = io_.connect(server, *this);
  if (!stream) {
    fail(
        fmt::format("cannot connect to {}: {}", io::to_string(server), errno_text(stream.error())));
    return;
  }
  stream_ = *stream;
  closed_ = false;
}

void Connection::adopt(io::StreamId stream) {
  stream_ = stream;
  closed_ = false;
  io_.receive_start(stream_);
  on_open();
}

void Connection::close() noexcept {
  if (closed_ || closing_) return;
  closing_ = true;
  io_.close(stream_);
}

void Connection::fail(std::string why) noexcept {
  if (failed_) return;
  failed_ = true;
  tally_.fail(std::move(why));
  close();
}

void Connection::on_connected(io::Errno error) noexcept {
  if (error != 0) return fail(fmt::format("cannot connect: {}", errno_text(error)));
  io_.receive_start(stream_);
  on_open();
  flush();
}

void Connection::on_data(std::span<const std::byte> bytes) noexcept {
  std::string_view fresh(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // The usual case is that nothing is left over and the bytes are used where they lie.
  while (partial_size_ > 0 && !fresh.empty() && !failed_) {
    const std::size_t room = std::min(fresh.size(), partial_size_max_ - partial_size_);
    if (room == 0) return fail("the server sent a message that is too large");
    std::memcpy(partial_.get() + partial_size_, fresh.data(), room);
    const std::size_t before = partial_size_;
    const std::size_t used = on_bytes({partial_.get(), partial_size_ + room});
    if (used < before) {  // Still not complete.
      partial_size_ += room;
      fresh.remove_prefix(room);
      std::memmove(partial_.get(), partial_.get() + used, partial_size_ - used);
      partial_size_ -= used;
    } else {  // What follows continues where the fresh bytes lie.
      partial_size_ = 0;
      fresh.remove_prefix(used - before);
    }
  }
  if (failed_ || fresh.empty()) return;
  fresh.remove_prefix(on_bytes(fresh));
  if (failed_ || fresh.empty()) return;
  if (fresh.size() > partial_size_max_) return fail("the server sent a message that is too large");
  std::memcpy(partial_.get(), fresh.data(), fresh.size());
  partial_size_ = fresh.size();
}

void Connection::on_end(io::Errno error) noexcept {
  if (closing_) return;
  fail(error == 0 ? "the server closed a connection"
                  : fmt::format("a connection broke: {}", errno_text(error)));
}

void Connection::on_sent(io::Errno error) noexcept {
  sending_ = false;
  if (error != 0) return fail(fmt::format("cannot send: {}", errno_text(error)));
  flush();
  on_room();
}

void Connection::flush() noexcept {
  if (sending_ || filled_ == 0 || failed_ || closing_) return;
  sending_ = true;
  io_.send(stream_, std::as_bytes(std::span(buffers_[filling_].get(), filled_)));
  filling_ ^= 1U;
  filled_ = 0;
}

}  // namespace tocsin::cli::bench
