#pragma once
// MQTT 5.0 publishing.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench/sender.hpp"
#include "protocol/mqtt/packets.hpp"

namespace tocsin::cli::bench {

inline constexpr std::size_t mqtt_packet_size_max = std::size_t{1} << 20U;

/// Calls visit(Frame) for each whole packet; returns the bytes used, or SIZE_MAX on nonsense.
template <class Visit>
std::size_t for_each_packet(std::string_view bytes, Visit&& visit) {
  std::size_t used = 0;
  for (;;) {
    const auto rest = std::as_bytes(std::span(bytes.substr(used)));
    const auto found = mqtt::next_packet(rest, mqtt_packet_size_max);
    if (found.status == mqtt::NextPacket::Status::error) return SIZE_MAX;
    if (found.status == mqtt::NextPacket::Status::need_more) return used;
    used += found.frame.size;
    visit(found.frame);
  }
}

/// QoS 1 and 2 are acknowledged one by one. With QoS 0 a ping follows the events now and then, one
/// at a time; its answer tells that the server has read them, and how long that took.
class MqttSender final : public Sender {
 public:
  MqttSender(Session& session, std::uint32_t index, std::uint32_t number);

  void finish() noexcept override;
  [[nodiscard]] bool settled() const noexcept override;

 private:
  /// A PUBLISH without its payload.
  struct Head {
    std::string bytes;
    std::size_t id_offset = 0;
  };

  void on_open() noexcept override;
  std::size_t on_bytes(std::string_view bytes) noexcept override;
  [[nodiscard]] std::uint64_t write_some(std::uint64_t sends_max,
                                         MonoTime intended) noexcept override;
  void on_pumped(MonoTime now) noexcept override;
  [[nodiscard]] bool write_publish(MonoTime intended) noexcept;
  void ping(MonoTime now) noexcept;
  void release() noexcept;
  std::size_t take_plain_acks(std::string_view bytes) noexcept;
  void take_ack(std::uint16_t packet_id) noexcept;
  void report_run() noexcept;
  void on_packet(const mqtt::Frame& frame) noexcept;
  void on_connack(const mqtt::Frame& frame) noexcept;
  void on_ack(const mqtt::Frame& frame) noexcept;
  void on_pong() noexcept;

  std::string topic_;
  std::vector<Head> heads_;  // One a payload.
  std::size_t next_payload_;
  // Packet identifiers 1..window, the last freed first (its cell is still in the cache), and when
  // the publish that uses one was due.
  std::vector<std::uint16_t> free_ids_;
  std::vector<MonoTime> due_;
  std::vector<std::uint16_t> releases_;  // QoS 2: PUBRELs to be sent.
  MonoTime arrival_{};                   // Of the bytes being read.
  MonoTime run_due_{};  // Acknowledgements in a row for events that were due together.
  std::uint64_t run_ = 0;
  // QoS 0.
  std::uint64_t sent_ = 0;
  std::uint64_t read_ = 0;    // By the server, as far as we know.
  std::uint64_t pinged_ = 0;  // How many of those sent a ping is behind; 0 = none on its way.
  MonoTime last_due_{};
  MonoTime ping_due_{};
  MonoTime ping_sent_{};
};

}  // namespace tocsin::cli::bench
