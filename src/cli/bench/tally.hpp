#pragma once
// What one generator thread counts.

#include <cstdint>
#include <string>

#include <tocsin/time.hpp>

#include "base/metrics.hpp"

namespace tocsin::cli::bench {

struct Tally {
  std::uint64_t sent = 0;          ///< Events given to the kernel.
  std::uint64_t acknowledged = 0;  ///< QoS 0: events that the peer has read (it answered a ping).
  std::uint64_t measured = 0;      ///< Those acknowledged after the warm-up.
  std::uint64_t refused = 0;       ///< Answered with an error.
  std::uint64_t unsent = 0;        ///< Due at the rate asked for, and never sent.
  std::uint64_t received = 0;      ///< By the subscriber.
  std::uint64_t errors = 0;        ///< Connections that failed.
  std::string first_error;
  Histogram ack_latency;
  Histogram end_to_end;
  Histogram lateness;  ///< How long after it was due a send was noticed to be: our own delay.
  Duration busy{};     ///< Processor time that the generator wanted while it measured,
  Duration wall{};     ///< and how long that was; sums over threads.

  void fail(std::string why) {
    if (errors++ == 0) first_error = std::move(why);
  }
  /// What was sent and neither acknowledged nor refused.
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept {
    return sent - acknowledged - refused;
  }
  void merge(const Tally& other) {
    sent += other.sent;
    acknowledged += other.acknowledged;
    measured += other.measured;
    refused += other.refused;
    unsent += other.unsent;
    received += other.received;
    if (errors == 0) first_error = other.first_error;
    errors += other.errors;
    ack_latency.merge(other.ack_latency);
    end_to_end.merge(other.end_to_end);
    lateness.merge(other.lateness);
    busy += other.busy;
    wall += other.wall;
  }
};

}  // namespace tocsin::cli::bench
