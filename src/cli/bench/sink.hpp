#pragma once
// The other end of the load generator at its cheapest: it acknowledges and discards. A run against
// it shows what the generator itself can do on this machine.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "cli/bench/connection.hpp"
#include "protocol/mqtt/packets.hpp"

namespace tocsin::cli::bench {

/// One peer, which speaks MQTT or HTTP by its first byte. Checks no more than it must to answer.
class SinkPeer final : public Connection {
 public:
  SinkPeer(io::Io& io, Tally& tally);

 private:
  enum class Speech : std::uint8_t { unknown, mqtt, http };

  void on_open() noexcept override {}
  std::size_t on_bytes(std::string_view bytes) noexcept override;
  std::size_t on_mqtt(std::string_view bytes) noexcept;
  std::size_t on_http(std::string_view bytes) noexcept;
  void on_packet(const mqtt::Frame& frame) noexcept;
  void answer(std::string_view text) noexcept;

  Speech speech_ = Speech::unknown;
  mqtt::Version version_ = mqtt::Version::v5;
};

/// Its peers; those that have gone make room for new ones.
class Sink final : public io::AcceptHandler {
 public:
  explicit Sink(io::Io& io) : io_(io) {}
  io::StreamHandler* on_accept(io::StreamId stream, const io::Endpoint& peer) noexcept override;
  void on_accept_error(io::Errno /*error*/) noexcept override {}

 private:
  io::Io& io_;
  Tally tally_;
  std::vector<std::unique_ptr<SinkPeer>> peers_;
};

/// Prints where it listens (`port` 0 = any) and serves until SIGINT or SIGTERM. Fails with a
/// sentence.
[[nodiscard]] Result<void, std::string> run_sink(std::uint16_t port);

}  // namespace tocsin::cli::bench
