#include "cli/bench/connection.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace tocsin::cli::bench {
namespace {

constexpr std::size_t buffer_size_min = std::size_t{64} * 1024;
constexpr std::size_t receive_size_max = std::size_t{64} * 1024;

}  // namespace

Connection::Connection(io::Io& io, Tally& tally, std::size_t message_size_max)
    : io_(io), tally_(tally), partial_(message_size_max + receive_size_max) {
  for (auto& buffer : buffers_) buffer.resize(std::max(buffer_size_min, 2 * message_size_max));
}

void Connection::connect(const io::Endpoint& server) {
  const auto stream = io_.connect(server, *this);
  if (!stream) {
    fail(fmt::format("cannot connect to {}: {}", io::to_string(server),
                     std::strerror(stream.error())));
    return;
  }
  stream_ = *stream;
  closed_ = false;
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
  if (error != 0) return fail(fmt::format("cannot connect: {}", std::strerror(error)));
  io_.receive_start(stream_);
  on_open();
  flush();
}

void Connection::on_data(std::span<const std::byte> bytes) noexcept {
  std::string_view fresh(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // The usual case is that nothing is left over and the bytes are used where they lie.
  while (partial_size_ > 0 && !fresh.empty() && !failed_) {
    const std::size_t room = std::min(fresh.size(), partial_.size() - partial_size_);
    if (room == 0) return fail("the server sent a message that is too large");
    std::memcpy(partial_.data() + partial_size_, fresh.data(), room);
    const std::size_t before = partial_size_;
    const std::size_t used = on_bytes({partial_.data(), partial_size_ + room});
    if (used < before) {  // Still not complete.
      partial_size_ += room;
      fresh.remove_prefix(room);
      std::memmove(partial_.data(), partial_.data() + used, partial_size_ - used);
      partial_size_ -= used;
    } else {  // What follows continues where the fresh bytes lie.
      partial_size_ = 0;
      fresh.remove_prefix(used - before);
    }
  }
  if (failed_ || fresh.empty()) return;
  fresh.remove_prefix(on_bytes(fresh));
  if (failed_ || fresh.empty()) return;
  if (fresh.size() > partial_.size()) return fail("the server sent a message that is too large");
  std::memcpy(partial_.data(), fresh.data(), fresh.size());
  partial_size_ = fresh.size();
}

void Connection::on_end(io::Errno error) noexcept {
  if (closing_) return;
  fail(error == 0 ? "the server closed a connection"
                  : fmt::format("a connection broke: {}", std::strerror(error)));
}

void Connection::on_sent(io::Errno error) noexcept {
  sending_ = false;
  if (error != 0) return fail(fmt::format("cannot send: {}", std::strerror(error)));
  flush();
  on_room();
}

void Connection::flush() noexcept {
  if (sending_ || filled_ == 0 || failed_ || closing_) return;
  sending_ = true;
  io_.send(stream_, std::as_bytes(std::span(buffers_[filling_]).first(filled_)));
  filling_ ^= 1U;
  filled_ = 0;
}

}  // namespace tocsin::cli::bench
