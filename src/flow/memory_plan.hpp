#pragma once
// How `memory_max` is shared out. Every pool of the process is one term here; a holder that is left
// out is memory that nobody bounds.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "io/io.hpp"

namespace tocsin::flow {

struct ThreadPlan {
  std::uint32_t reactors = 1;
  std::uint32_t workers = 1;
  bool worker_threads = false;  ///< False: the one worker is on the first reactor's thread.
  bool journal_thread = false;  ///< False: the journal is.
  [[nodiscard]] std::uint32_t threads() const noexcept {
    return reactors + (worker_threads ? workers : 0) + (journal_thread ? 1 : 0);
  }
};

/// Exactly `wanted` threads, or as many as `processors` suggest (0). One or two processors get a
/// single thread: a hop to a sleeping thread costs more than the work of an event, and two busy
/// threads on one processor ruin latency.
[[nodiscard]] ThreadPlan plan_threads(std::uint32_t wanted, std::uint32_t processors) noexcept;

/// What this configuration needs beside what every one needs.
struct MemoryDemands {
  std::size_t hash_bytes = 0;  ///< Checking passwords.
  bool tls = false;            ///< There are TLS listeners.
};

struct MemoryPlan {
  std::size_t process_bytes = 0;  ///< Code, libraries, stacks, rules: not pooled.
  io::IoOptions io;               ///< Of each thread that owns connections.
  std::size_t receive_bytes = 0;  ///< Provided buffers of all reactors.
  std::size_t batch_size = 0;
  std::size_t batch_count = 0;
  std::size_t batch_bytes = 0;  ///< Blocks, acknowledgement tokens.
  std::size_t notification_count = 0;
  std::size_t notification_bytes = 0;  ///< Fixed parts and kept string capacity.
  std::size_t body_bytes = 0;          ///< Rendered bodies together.
  std::size_t carry_bytes = 0;         ///< Partial requests and frames, each reactor.
  std::size_t output_bytes = 0;        ///< Responses and notifications to clients, each reactor.
  std::size_t connection_bytes = 0;    ///< Connection objects of all reactors.
  std::size_t quota_bytes = 0;         ///< Token buckets of clients and addresses.
  std::size_t body_size_max = 0;       ///< Largest HTTP body whose parser memory fits.
  std::size_t parser_bytes = 0;        ///< JSON parsers of all reactors and workers.
  std::size_t side_bytes = 0;          ///< Standard output, dead letters, TLS, database, journal.
  std::size_t store_queue_bytes = 0;   ///< Changes of MQTT sessions that wait for the disk.
  std::size_t hash_bytes = 0;          ///< Checking passwords.
  std::size_t tls_bytes = 0;           ///< TLS connections of both protocols, each reactor.
  std::uint32_t connections_max = 0;   ///< Of all protocols, each reactor.
  std::size_t total_bytes = 0;         ///< The ceiling that is printed at start.
};

/// Devices stay connected over MQTT, requests over HTTP come and go: their shares of all
/// connections.
[[nodiscard]] constexpr std::uint32_t mqtt_share(std::uint32_t connections) noexcept {
  return connections - connections / 4;
}
[[nodiscard]] constexpr std::uint32_t http_share(std::uint32_t connections) noexcept {
  return connections / 4;
}

/// Makes the plan fit into `files_max` descriptors of the process. Some stay reserved: the journal,
/// the cursor and dead letters need theirs even when connections took all others.
void limit_descriptors(MemoryPlan& plan, const ThreadPlan& threads,
                       std::uint64_t files_max) noexcept;

/// A configured size as far as this processor can address it.
[[nodiscard]] std::size_t addressable(std::int64_t bytes) noexcept;

/// Nothing when `memory_max` is too small for `threads`.
[[nodiscard]] std::optional<MemoryPlan> plan_memory(std::size_t memory_max,
                                                    const ThreadPlan& threads,
                                                    const MemoryDemands& demands = {}) noexcept;

struct ResourcePlan {
  ThreadPlan threads;
  MemoryPlan memory;
};
/// Both together. Where the number of threads is ours to choose it also fits `memory_max`. Nothing
/// when even that does not help.
[[nodiscard]] std::optional<ResourcePlan> plan_resources(
    std::size_t memory_max, std::uint32_t threads_wanted, std::uint32_t processors,
    const MemoryDemands& demands = {}) noexcept;

/// What is wrong when plan_resources() has nothing: a sentence for people.
[[nodiscard]] std::string memory_shortage(std::size_t memory_max, std::uint32_t threads_wanted,
                                          const MemoryDemands& demands = {});

}  // namespace tocsin::flow
