#include "flow/memory_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <tocsin/limits.hpp>

#include "flow/batch.hpp"
#include "flow/notification.hpp"

namespace tocsin::flow {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20U;
// Measured: the empty process with its shared libraries and a few rules is below this.
constexpr std::size_t process_base = 28 * mib;
constexpr std::size_t thread_bytes = mib;
// Strings of a notification beside its body: recipient, subject, names. They keep up to 2 KiB of
// capacity each, but only bodies and subjects grow that far.
constexpr std::size_t notification_size = sizeof(Notification) + 2048 + 1024;
// Measured: an idle MQTT connection with its session takes 1,060 bytes, an idle HTTP one 240. What
// busy ones hold is charged to their budgets.
constexpr std::size_t connection_size = 1280;
constexpr std::uint32_t streams_beside = 256;  // Webhooks, subscriptions to brokers.
constexpr std::uint64_t files_reserved = 256;
constexpr std::size_t batch_count_min = 6;
// Checking JSON takes about 5 bytes for each byte of the longest text that was seen.
constexpr std::size_t scanner_factor = 5;
constexpr std::size_t batch_payload_estimate = 160 * 1024;
constexpr std::size_t body_size_min = 64 * 1024;
constexpr std::size_t printer_bytes = 2 * mib;      // One buffer filling, one being written.
constexpr std::size_t dead_letter_bytes = 2 * mib;  // The same, each reactor.
// Shapes of documents: the present table and the one before.
constexpr std::size_t shape_bytes = 2 * json::shapes_max * json::shape_cost_max;
constexpr std::size_t tls_bytes = 8 * 40 * 1024;  // One webhook channel's connections.
// A TLS connection takes as much as twenty plain ones, so this bounds how many there can be: about
// a thousand of them at the default memory_max.
constexpr std::size_t tls_server_percent = 30;
constexpr std::size_t database_bytes = mib;  // SQLite: page cache, statements, its thread's stack.
constexpr std::size_t journal_bytes = 256 * 1024;  // Small blocks of the commits in flight.

/// Does not overflow where a size has 32 bits.
constexpr std::size_t percent(std::size_t bytes, unsigned share) noexcept {
  return static_cast<std::size_t>(std::uint64_t{bytes} * share / 100);
}

}  // namespace

ThreadPlan plan_threads(std::uint32_t wanted, std::uint32_t processors) noexcept {
  if (wanted == 0) wanted = processors <= 2 ? 1 : processors;
  if (wanted == 1) return {};
  // The journal goes with the reactor: an acknowledgement then waits for no other thread.
  if (wanted == 2) return {.worker_threads = true};
  // One is the journal; ingress and matching share the rest evenly.
  const std::uint32_t rest = wanted - 1;
  return {.reactors = (rest + 1) / 2,
          .workers = rest / 2,
          .worker_threads = true,
          .journal_thread = true};
}

std::size_t addressable(std::int64_t bytes) noexcept {
  constexpr std::uint64_t half = SIZE_MAX / 2;
  return static_cast<std::size_t>(std::min(static_cast<std::uint64_t>(bytes), half));
}

std::optional<MemoryPlan> plan_memory(std::size_t memory_max, const ThreadPlan& threads,
                                      const MemoryDemands& demands) noexcept {
  MemoryPlan plan;
  plan.process_bytes = process_base + threads.threads() * thread_bytes;
  plan.side_bytes = printer_bytes + database_bytes + journal_bytes +
                    threads.reactors * (dead_letter_bytes + tls_bytes + shape_bytes);
  const std::size_t scanners = threads.workers * scanner_factor * batch_payload_estimate;
  plan.hash_bytes = demands.hash_bytes;
  const std::size_t fixed = plan.process_bytes + plan.side_bytes + plan.hash_bytes + scanners;
  if (memory_max <= fixed) return std::nullopt;
  plan.body_size_max =
      std::max(body_size_min, percent(memory_max - fixed, 12) / scanner_factor / threads.reactors);
  plan.body_size_max = std::min(plan.body_size_max, std::size_t{64} * mib);
  plan.parser_bytes = scanners + threads.reactors * scanner_factor * plan.body_size_max;
  if (memory_max <= fixed - scanners + plan.parser_bytes) return std::nullopt;
  const std::size_t shared = memory_max - (fixed - scanners) - plan.parser_bytes;
  plan.tls_bytes = demands.tls ? percent(shared, tls_server_percent) / threads.reactors : 0;
  const std::size_t rest = shared - threads.reactors * plan.tls_bytes;

  // A pool the size of L2 beats a large one: what was received is decoded while it is still warm.
  plan.io.receive_buffer_size = 32 * 1024;
  plan.io.receive_buffers = rest / threads.reactors >= 64 * mib ? 32 : 16;
  plan.receive_bytes =
      std::size_t{threads.reactors} * (plan.io.receive_buffers + 1) * plan.io.receive_buffer_size;
  const std::size_t other_streams = threads.reactors * streams_beside * connection_size;
  if (rest <= plan.receive_bytes + other_streams) return std::nullopt;
  const std::size_t pooled = rest - plan.receive_bytes - other_streams;

  plan.connections_max = static_cast<std::uint32_t>(std::clamp<std::size_t>(
      percent(pooled, 13) / connection_size / threads.reactors, 128, 131'072));
  plan.io.streams_max = plan.connections_max + streams_beside;
  plan.connection_bytes = std::size_t{threads.reactors} * plan.io.streams_max * connection_size;

  plan.batch_size = 256 * 1024;
  plan.batch_count = percent(pooled, 30) / batch_cost(plan.batch_size);
  plan.batch_bytes = plan.batch_count * batch_cost(plan.batch_size);

  plan.notification_count = percent(pooled, 17) / notification_size;
  plan.notification_bytes = plan.notification_count * notification_size;
  plan.body_bytes = percent(pooled, 11);
  plan.carry_bytes = percent(pooled, 10) / threads.reactors;
  plan.output_bytes = percent(pooled, 10) / threads.reactors;
  plan.store_queue_bytes = percent(pooled, 2);
  plan.quota_bytes = percent(pooled, 1);

  plan.total_bytes = plan.process_bytes + plan.receive_bytes + plan.connection_bytes +
                     plan.batch_bytes + plan.notification_bytes + plan.body_bytes +
                     plan.parser_bytes + plan.side_bytes + plan.hash_bytes + plan.quota_bytes +
                     plan.store_queue_bytes * 5 / 4 +
                     threads.reactors * (plan.carry_bytes + plan.output_bytes + plan.tls_bytes);
  const std::size_t batches_needed = batch_count_min + 4 * threads.reactors;
  if (plan.batch_count < batches_needed || plan.total_bytes > memory_max) return std::nullopt;
  return plan;
}

void limit_descriptors(MemoryPlan& plan, const ThreadPlan& threads,
                       std::uint64_t files_max) noexcept {
  const std::uint64_t files = std::max(files_max, 2 * files_reserved) - files_reserved;
  const std::uint64_t streams = std::max<std::uint64_t>(files / threads.reactors, 2);
  // Where there are few, webhooks go without before clients do.
  const std::uint64_t beside = std::clamp<std::uint64_t>(streams / 4, 1, streams_beside);
  plan.connections_max =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(plan.connections_max, streams - beside));
  plan.io.streams_max = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(plan.io.streams_max, plan.connections_max + beside));
}

std::optional<ResourcePlan> plan_resources(std::size_t memory_max, std::uint32_t threads_wanted,
                                           std::uint32_t processors,
                                           const MemoryDemands& demands) noexcept {
  ThreadPlan threads = plan_threads(threads_wanted, processors);
  for (;;) {
    if (const auto memory = plan_memory(memory_max, threads, demands)) {
      return ResourcePlan{.threads = threads, .memory = *memory};
    }
    if (threads_wanted != 0 || threads.threads() == 1) return std::nullopt;
    threads = plan_threads(threads.threads() - 1, processors);
  }
}

std::string memory_shortage(std::size_t memory_max, std::uint32_t threads_wanted,
                            const MemoryDemands& demands) {
  const ThreadPlan threads = plan_threads(std::max(threads_wanted, 1U), 1);
  std::size_t needed = memory_max / mib;
  while (!plan_memory(needed * mib, threads, demands)) ++needed;
  const std::uint32_t count = threads.threads();
  return fmt::format("is too small for {} thread{}: at least {}MiB", count, count == 1 ? "" : "s",
                     needed);
}

}  // namespace tocsin::flow
