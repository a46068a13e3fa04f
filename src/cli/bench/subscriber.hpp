#pragma once
// The receiving end: an MQTT subscriber that measures how long events took to reach it.

#include <cstdint>
#include <string>

#include "cli/bench/connection.hpp"
#include "cli/bench/plan.hpp"
#include "protocol/mqtt/packets.hpp"

namespace tocsin::cli::bench {

class Subscriber final : public Connection {
 public:
  /// `measured_from`: what was sent before does not count in the latencies. It outlives this.
  Subscriber(io::Io& io, Tally& tally, const Plan& plan, const MonoTime& measured_from);

  /// When something arrived last.
  [[nodiscard]] MonoTime last_arrival() const noexcept { return arrival_; }

 private:
  void on_open() noexcept override;
  std::size_t on_bytes(std::string_view bytes) noexcept override;
  void on_packet(const mqtt::Frame& frame) noexcept;
  void on_connack(const mqtt::Frame& frame) noexcept;
  void on_suback(const mqtt::Frame& frame) noexcept;
  void on_publish(const mqtt::Frame& frame) noexcept;

  const Plan& plan_;
  const MonoTime& measured_from_;
  MonoTime arrival_{};
};

}  // namespace tocsin::cli::bench
