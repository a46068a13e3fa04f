// What it costs to hand work to another thread: the queue itself in bulk, and a loop's mailbox with
// the wake-up of a loop that sleeps.

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include <concurrentqueue/concurrentqueue.h>

#include "flow/loop.hpp"
#include "io/uring/uring_io.hpp"

namespace tocsin::flow {
namespace {

constexpr std::size_t bulk_max = 256;

/// Argument: messages an operation. One producer, one consumer, with tokens.
void bm_queue_bulk(benchmark::State& state) {
  const auto bulk = static_cast<std::size_t>(state.range(0));
  moodycamel::ConcurrentQueue<Message> queue;
  std::atomic<std::uint64_t> consumed{0};
  std::jthread consumer([&](const std::stop_token& stop) {
    moodycamel::ConsumerToken token(queue);
    std::array<Message, bulk_max> taken;
    while (!stop.stop_requested()) {
      consumed.fetch_add(queue.try_dequeue_bulk(token, taken.data(), bulk),
                         std::memory_order_release);
    }
  });
  moodycamel::ProducerToken token(queue);
  const std::array<Message, bulk_max> messages{};
  std::uint64_t produced = 0;
  for (auto _ : state) {
    queue.enqueue_bulk(token, messages.data(), bulk);
    produced += bulk;
    // As in the product, a pool bounds what is under way.
    while (produced - consumed.load(std::memory_order_acquire) > 64 * bulk_max) {
      std::this_thread::yield();
    }
  }
  while (consumed.load(std::memory_order_acquire) < produced) std::this_thread::yield();
  state.SetItemsProcessed(static_cast<std::int64_t>(produced));
}
BENCHMARK(bm_queue_bulk)->Arg(1)->Arg(32)->Arg(256)->UseRealTime();

/// Sends every message back to where it came from, or only counts it.
class Echo final : public Receiver {
 public:
  void on_message(const Message& message) noexcept override {
    received.fetch_add(1, std::memory_order_release);
    if (answer_to != nullptr) answer_to->post({.to = answer_receiver, .kind = message.kind});
  }
  std::atomic<std::uint64_t> received{0};
  Loop* answer_to = nullptr;
  Receiver* answer_receiver = nullptr;
};

/// A loop on a thread of its own.
struct FarLoop {
  FarLoop() : io(std::move(*io::make_uring_io({}))), loop(*io, "far") {}
  void start() {
    thread = std::jthread([this] { loop.run(); });
  }
  ~FarLoop() { loop.stop(); }
  std::unique_ptr<io::Io> io;
  Loop loop;
  Echo echo;
  std::jthread thread;
};

/// There and back between two loops that sleep in between: two wake-ups.
void bm_loop_post_round_trip(benchmark::State& state) {
  const auto io = std::move(*io::make_uring_io({}));
  Loop near(*io, "near");
  Echo home;
  FarLoop far;
  far.echo.answer_to = &near;
  far.echo.answer_receiver = &home;
  far.start();
  std::uint64_t sent = 0;
  for (auto _ : state) {
    far.loop.post({.to = &far.echo});
    ++sent;
    while (home.received.load(std::memory_order_acquire) < sent) near.turn();
  }
}
BENCHMARK(bm_loop_post_round_trip)->UseRealTime();

/// Posting to a loop that never gets to sleep: no wake-up is paid for.
void bm_loop_post_busy(benchmark::State& state) {
  FarLoop far;
  far.start();
  std::uint64_t sent = 0;
  for (auto _ : state) {
    far.loop.post({.to = &far.echo});
    if (++sent - far.echo.received.load(std::memory_order_acquire) < 1024) continue;
    while (far.echo.received.load(std::memory_order_acquire) + 512 < sent) {
      std::this_thread::yield();
    }
  }
  while (far.echo.received.load(std::memory_order_acquire) < sent) std::this_thread::yield();
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK(bm_loop_post_busy)->UseRealTime();

}  // namespace
}  // namespace tocsin::flow
