#pragma once
// Handlers that write down what they are told, for the tests of the simulator.

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/io.hpp"
#include "io/sim/sim_io.hpp"
#include "io/sim/sim_world.hpp"

namespace tocsin::io::test {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct RecordingStream final : StreamHandler {
  void on_connected(Errno error) noexcept override { connected = error; }
  void on_data(std::span<const std::byte> bytes) noexcept override {
    data += text_of(bytes);
    ++deliveries;
  }
  void on_end(Errno error) noexcept override { end = error; }
  void on_sent(Errno error) noexcept override { sent.push_back(error); }
  void on_closed() noexcept override { ++closed; }

  StreamId id;
  std::optional<Errno> connected;
  std::optional<Errno> end;
  std::string data;
  std::vector<Errno> sent;
  int deliveries = 0;
  int closed = 0;
};

struct RecordingAcceptor final : AcceptHandler {
  StreamHandler* on_accept(StreamId stream, const Endpoint& peer) noexcept override {
    last_peer = peer;
    if (refuse) return nullptr;
    streams.push_back(std::make_unique<RecordingStream>());
    streams.back()->id = stream;
    if (receive) io->receive_start(stream);
    return streams.back().get();
  }
  void on_accept_error(Errno error) noexcept override { errors.push_back(error); }

  Io* io = nullptr;
  bool receive = true;
  bool refuse = false;
  Endpoint last_peer;
  std::vector<std::unique_ptr<RecordingStream>> streams;
  std::vector<Errno> errors;
};

struct RecordingFile final : FileHandler {
  void on_file_done(Errno error) noexcept override { done.push_back(error); }
  std::vector<Errno> done;
};

/// A server and a client on one connection, each with its own Io.
struct Pair {
  explicit Pair(std::uint64_t seed, const SimFaults& faults = {}) : world(seed, faults) {
    acceptor.io = server.get();
    listener = *server->listen(*parse_endpoint("127.0.0.1:0"), false, acceptor);
    endpoint = server->local_endpoint(listener);
  }
  void connect() {
    client.id = *peer->connect(endpoint, client);
    world.run_until([&] { return client.connected && !acceptor.streams.empty(); });
    peer->receive_start(client.id);
  }
  RecordingStream& accepted() { return *acceptor.streams.front(); }

  SimWorld world;
  RecordingAcceptor acceptor;
  RecordingStream client;
  std::unique_ptr<SimIo> server = world.make_io();
  std::unique_ptr<SimIo> peer = world.make_remote_io();
  ListenerId listener;
  Endpoint endpoint;
};

}  // namespace tocsin::io::test
