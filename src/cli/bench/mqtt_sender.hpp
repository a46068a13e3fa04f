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

class MqttSender final : public Sender {
 public:
  MqttSender(Session& session, std::uint32_t index, std::uint32_t number);

  void finish() noexcept override;
  [[nodiscard]] bool settled() const noexcept override;

 private:
  void on_open() noexcept override;
  std::size_t on_bytes(std::string_view bytes) noexcept override;
  [[nodiscard]] bool window_open() const noexcept override;
  [[nodiscard]] bool write_one(MonoTime intended) noexcept override;
  void on_packet(const mqtt::Frame& frame) noexcept;
  void on_connack(const mqtt::Frame& frame) noexcept;
  void on_puback(const mqtt::Frame& frame) noexcept;
  void on_pong() noexcept;

  std::string topic_;
  std::size_t next_payload_;
  // Packet identifiers 1..window, the last freed first (its cell is still in the cache), and when
  // the publish that uses one was due.
  std::vector<std::uint16_t> free_ids_;
  std::vector<MonoTime> due_;
  MonoTime arrival_{};  // Of the bytes being read.
  std::uint64_t sent_ = 0;
  bool pinged_ = false;
  bool ponged_ = false;
};

}  // namespace tocsin::cli::bench
