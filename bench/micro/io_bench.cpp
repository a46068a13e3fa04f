// What the I/O layer costs over loopback, both ends on one thread: a round trip, many round trips
// at once, receiving in bulk, waking.

#include <benchmark/benchmark.h>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "io/backends.hpp"

namespace tocsin::io {
namespace {

/// Sends one message, sends the next when as many bytes have come back.
class Pinger final : public StreamHandler {
 public:
  Pinger(Io& io, std::size_t size) : io_(io), message_(size, std::byte{'x'}) {}
  void on_connected(Errno /*error*/) noexcept override {}
  void on_data(std::span<const std::byte> bytes) noexcept override {
    pending_ -= bytes.size();
    if (pending_ == 0) ++rounds;
  }
  void on_end(Errno /*error*/) noexcept override {}
  void on_sent(Errno /*error*/) noexcept override {}
  void on_closed() noexcept override {}
  void ping() {
    pending_ = message_.size();
    io_.send(id, message_);
  }

  StreamId id;
  std::uint64_t rounds = 0;

 private:
  Io& io_;
  std::vector<std::byte> message_;
  std::size_t pending_ = 0;
};

/// Sends back what it gets, or only counts it.
class Server final : public StreamHandler {
 public:
  Server(Io& io, bool echo) : io_(io), echo_(echo) {}
  void on_connected(Errno /*error*/) noexcept override {}
  void on_data(std::span<const std::byte> bytes) noexcept override {
    received += bytes.size();
    if (!echo_) return;
    copy_.assign(bytes.begin(), bytes.end());
    io_.send(id, copy_);
  }
  void on_end(Errno /*error*/) noexcept override {}
  void on_sent(Errno /*error*/) noexcept override {}
  void on_closed() noexcept override {}

  StreamId id;
  std::uint64_t received = 0;

 private:
  Io& io_;
  bool echo_;
  std::vector<std::byte> copy_;
};

class Acceptor final : public AcceptHandler {
 public:
  Acceptor(Io& io, bool echo) : io_(io), echo_(echo) {}
  StreamHandler* on_accept(StreamId stream, const Endpoint& /*peer*/) noexcept override {
    Server& server = servers.emplace_back(io_, echo_);
    server.id = stream;
    io_.receive_start(stream);
    return &server;
  }
  void on_accept_error(Errno /*error*/) noexcept override {}
  std::deque<Server> servers;

 private:
  Io& io_;
  bool echo_;
};

struct Loopback {
  Loopback(Backend backend, std::size_t connections, std::size_t size, bool echo)
      : io(std::move(*make_io(backend, {.receive_buffers = 256}))), acceptor(*io, echo) {
    const auto listener = io->listen(*parse_endpoint("127.0.0.1:0"), false, acceptor);
    for (std::size_t i = 0; i < connections; ++i) {
      Pinger& pinger = pingers.emplace_back(*io, size);
      pinger.id = *io->connect(io->local_endpoint(*listener), pinger);
      io->receive_start(pinger.id);
    }
    while (acceptor.servers.size() < connections) io->poll(MonoTime::max());
  }
  std::unique_ptr<Io> io;
  Acceptor acceptor;
  std::deque<Pinger> pingers;
};

/// Arguments: connections, bytes a message. One iteration is one round trip on each connection.
void bm_io_ping_pong(benchmark::State& state, Backend backend) {
  const auto connections = static_cast<std::size_t>(state.range(0));
  Loopback loopback(backend, connections, static_cast<std::size_t>(state.range(1)), true);
  std::uint64_t round = 0;
  for (auto _ : state) {
    ++round;
    for (Pinger& pinger : loopback.pingers) pinger.ping();
    for (const Pinger& pinger : loopback.pingers) {
      while (pinger.rounds < round) loopback.io->poll(MonoTime::max());
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// Argument: bytes a send. One sender, one receiver, which stays armed.
void bm_io_bulk_receive(benchmark::State& state, Backend backend) {
  const auto size = static_cast<std::size_t>(state.range(0));
  Loopback loopback(backend, 1, size, false);
  const Server& server = loopback.acceptor.servers.front();
  for (auto _ : state) {
    const std::uint64_t until = server.received + size;
    loopback.pingers.front().ping();
    while (server.received < until) loopback.io->poll(MonoTime::max());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

/// What a turn costs that finds nothing to do.
void bm_io_idle_poll(benchmark::State& state, Backend backend) {
  Loopback loopback(backend, 1, 1, false);
  for (auto _ : state) loopback.io->poll(MonoTime::min());
}

/// wake() and the turn that it ends, on one thread.
void bm_io_wake(benchmark::State& state, Backend backend) {
  Loopback loopback(backend, 1, 1, false);
  for (auto _ : state) {
    loopback.io->wake();
    loopback.io->poll(MonoTime::max());
  }
}
void ping_pong_sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({1, 128})->Args({100, 128})->Args({1, 4096});
}

// One set a backend.
#define TOCSIN_IO_BENCH(name, backend)                                               \
  BENCHMARK_CAPTURE(bm_io_ping_pong, name, backend)->Apply(ping_pong_sizes);         \
  BENCHMARK_CAPTURE(bm_io_bulk_receive, name, backend)->Arg(16 << 10)->Arg(1 << 20); \
  BENCHMARK_CAPTURE(bm_io_idle_poll, name, backend);                                 \
  BENCHMARK_CAPTURE(bm_io_wake, name, backend)
TOCSIN_IO_BENCH(uring, Backend::uring);
TOCSIN_IO_BENCH(uring_single, Backend::uring_single);
TOCSIN_IO_BENCH(epoll, Backend::epoll);

}  // namespace
}  // namespace tocsin::io
