#pragma once
// One connection of the load generator: what its protocol writes is collected and sent in large
// pieces, what arrives is handed over in order. Nothing is allocated once it is connected.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "cli/bench/tally.hpp"
#include "io/io.hpp"

namespace tocsin::cli::bench {

class Connection : public io::StreamHandler {
 public:
  /// `message_size_max`: the largest single message that it has to send or receive. `connections`:
  /// how many share the memory for buffers.
  Connection(io::Io& io, Tally& tally, std::size_t message_size_max, std::uint32_t connections = 1);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  void connect(const io::Endpoint& server);
  /// Takes a connection that was accepted.
  void adopt(io::StreamId stream);
  /// Ready for events: connected and, where the protocol has one, through its handshake.
  [[nodiscard]] bool ready() const noexcept { return ready_ && !failed_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  void close() noexcept;
  /// Nothing refers to it any more.
  [[nodiscard]] bool closed() const noexcept { return closed_; }

  void on_connected(io::Errno error) noexcept final;
  void on_data(std::span<const std::byte> bytes) noexcept final;
  void on_end(io::Errno error) noexcept final;
  void on_sent(io::Errno error) noexcept final;
  void on_closed() noexcept final { closed_ = true; }

 protected:
  /// The stream is up: time for a greeting, or for set_ready().
  virtual void on_open() noexcept = 0;
  /// Takes what it can of `bytes` and returns how much; the rest comes again with more behind it.
  virtual std::size_t on_bytes(std::string_view bytes) noexcept = 0;
  /// There is room again.
  virtual void on_room() noexcept {}

  void set_ready() noexcept { ready_ = true; }
  /// Where the next message goes; wrote() says how long it became.
  [[nodiscard]] std::span<char> room() noexcept {
    return std::span(buffers_[filling_].get(), buffer_size_).subspan(filled_);
  }
  void wrote(std::size_t size) noexcept { filled_ += size; }
  /// Sends what has been written unless a send is on its way.
  void flush() noexcept;
  void fail(std::string why) noexcept;

  io::Io& io_;
  Tally& tally_;

 private:
  io::StreamId stream_{};
  // Not cleared: of an idle connection's buffers no page is touched.
  std::size_t buffer_size_;
  std::array<std::unique_ptr<char[]>, 2> buffers_;
  std::size_t filling_ = 0;
  std::size_t filled_ = 0;
  std::size_t partial_size_max_;
  std::unique_ptr<char[]> partial_;  // The beginning of a message whose end has not arrived.
  std::size_t partial_size_ = 0;
  bool sending_ = false;
  bool ready_ = false;
  bool failed_ = false;
  bool closing_ = false;
  bool closed_ = true;
};

}  // namespace tocsin::cli::bench
