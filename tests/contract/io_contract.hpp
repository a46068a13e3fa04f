#pragma once
// What every Io must do, whatever it stands on. A backend runs the whole suite by adding one file:
//
//   INSTANTIATE_TEST_SUITE_P(Uring, IoContract, testing::Values(IoFactory{...}), factory_name);
//
// Both ends of each connection live on the Io under test.

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "io/io.hpp"

namespace tocsin::io::contract {

struct IoFactory {
  std::string name;
  std::function<std::unique_ptr<Io>(const IoOptions&)> make;
  /// A second Io that sees the same files, as another process would.
  std::function<std::unique_ptr<Io>(Io&)> make_other;
  /// Path of a directory for this test; it need not exist yet, and is empty.
  std::function<std::string()> directory;
};

/// Keeps addresses out of test names and failures.
inline void PrintTo(const IoFactory& factory, std::ostream* out) { *out << factory.name; }

inline std::string factory_name(const testing::TestParamInfo<IoFactory>& info) {
  return info.param.name;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}
inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// Bytes that show a shift, a loss or a repetition.
inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1'664'525U + 1'013'904'223U;
    c = static_cast<char>(state >> 24U);
  }
  return text;
}

/// One end of a connection: records what it is told, and checks that nothing follows on_closed.
class Peer final : public StreamHandler {
 public:
  explicit Peer(Io& io) : io_(io) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void on_connected(Errno error) noexcept override {
    EXPECT_EQ(closed, 0);
    ++connected;
    connect_error = error;
    if (when_connected) when_connected();
  }
  void on_data(std::span<const std::byte> bytes) noexcept override {
    EXPECT_EQ(closed, 0);
    EXPECT_EQ(ended, 0) << "data after the end";
    received += text_of(bytes);
    if (when_data) when_data(bytes);
  }
  void on_end(Errno error) noexcept override {
    EXPECT_EQ(closed, 0);
    ++ended;
    end_error = error;
    if (when_ended) when_ended();
  }
  void on_sent(Errno error) noexcept override {
    EXPECT_EQ(closed, 0);
    ++sent;
    send_error = error;
    if (when_sent) when_sent();
  }
  void on_closed() noexcept override {
    EXPECT_EQ(closed, 0) << "on_closed came twice";
    ++closed;
    if (when_closed) when_closed();
  }

  void close() { io_.close(id); }
  void send(std::string text) {
    outgoing = std::move(text);
    io_.send(id, bytes_of(outgoing));
  }
  /// Sends back whatever arrives, until the other side ends; then closes.
  void echo();

  StreamId id;
  int connected = 0, ended = 0, sent = 0, closed = 0;
  Errno connect_error = -1, end_error = -1, send_error = -1;
  std::string received, outgoing;
  std::function<void()> when_connected, when_ended, when_sent, when_closed;
  std::function<void(std::span<const std::byte>)> when_data;

 private:
  Io& io_;
  std::string backlog_;
  bool echoing_ = false;
};

/// Accepts connections into `peers`.
class Acceptor final : public AcceptHandler {
 public:
  explicit Acceptor(Io& io) : io_(io) {}
  StreamHandler* on_accept(StreamId stream, const Endpoint& peer) noexcept override {
    if (refuse) return nullptr;
    last_peer = peer;
    Peer& accepted = peers.emplace_back(io_);
    accepted.id = stream;
    if (when_accepted) when_accepted(accepted);
    return &accepted;
  }
  void on_accept_error(Errno error) noexcept override { errors.push_back(error); }

  std::deque<Peer> peers;
  std::vector<Errno> errors;
  Endpoint last_peer;
  bool refuse = false;
  std::function<void(Peer&)> when_accepted;

 private:
  Io& io_;
};

class FileDone final : public FileHandler {
 public:
  void on_file_done(Errno result) noexcept override {
    ++count;
    error = result;
  }
  int count = 0;
  Errno error = -1;
};

class IoContract : public testing::TestWithParam<IoFactory> {
 protected:
  void SetUp() override { restart({}); }
  void restart(const IoOptions& options);

  /// Polls until `done` holds; false after far more time than anything here may take.
  [[nodiscard]] bool run_until(const std::function<bool()>& done);
  /// Polls until nothing happens any more.
  void settle();
  /// Starts listening on a free port of 127.0.0.1.
  void listen();
  /// Connects `client` to the listener and waits until both ends are up; receiving is not started.
  Peer& connect(Peer& client);
  /// Closes all given peers and waits for on_closed.
  void close_all(std::initializer_list<Peer*> peers);

  std::unique_ptr<Io> io_;
  std::unique_ptr<Acceptor> acceptor_;
  ListenerId listener_;
  Endpoint endpoint_;
};

}  // namespace tocsin::io::contract
