#pragma once
// One end of a connection of a simulated peer: connects, queues what is to be sent, closes.

#include <cstddef>
#include <string>
#include <string_view>

#include "io/io.hpp"

namespace tocsin::sim_test {

class Link final : public io::StreamHandler {
 public:
  class Owner {
   public:
    virtual void on_link_up() = 0;
    virtual void on_link_data(std::string_view bytes) = 0;
    /// Gone; it may be opened again.
    virtual void on_link_down() = 0;

   protected:
    ~Owner() = default;
  };

  Link(io::Io& io, Owner& owner) : io_(io), owner_(owner) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void connect(const io::Endpoint& endpoint) {
    const auto stream = io_.connect(endpoint, *this);
    if (!stream) return;
    stream_ = *stream;
    state_ = State::connecting;
  }
  /// For a stream that was accepted.
  void adopt(io::StreamId stream) {
    stream_ = stream;
    state_ = State::open;
    io_.receive_start(stream);
  }
  void send(std::string_view bytes) {
    if (state_ != State::open) return;
    waiting_ += bytes;
    pump();
  }
  void close() {
    if (state_ != State::connecting && state_ != State::open) return;
    state_ = State::closing;
    io_.close(stream_);
  }
  [[nodiscard]] bool idle() const noexcept { return state_ == State::idle; }
  [[nodiscard]] bool open() const noexcept { return state_ == State::open; }

 private:
  enum class State : std::uint8_t { idle, connecting, open, closing };

  void pump() {
    if (!in_send_.empty() || waiting_.empty()) return;
    in_send_.swap(waiting_);
    io_.send(stream_, {reinterpret_cast<const std::byte*>(in_send_.data()), in_send_.size()});
  }
  void on_connected(io::Errno error) noexcept override {
    if (error != 0) return close();
    state_ = State::open;
    io_.receive_start(stream_);
    owner_.on_link_up();
  }
  void on_data(std::span<const std::byte> bytes) noexcept override {
    if (state_ != State::open) return;
    owner_.on_link_data({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  void on_end(io::Errno /*error*/) noexcept override { close(); }
  void on_sent(io::Errno error) noexcept override {
    in_send_.clear();
    if (error != 0) return close();
    if (state_ == State::open) pump();
  }
  void on_closed() noexcept override {
    state_ = State::idle;
    in_send_.clear();
    waiting_.clear();
    owner_.on_link_down();
  }

  io::Io& io_;
  Owner& owner_;
  io::StreamId stream_;
  State state_ = State::idle;
  std::string waiting_;
  std::string in_send_;
};

}  // namespace tocsin::sim_test
