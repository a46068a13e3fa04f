#pragma once
// The TLS side of one reactor: its listeners for MQTT and HTTP, what they share, and their part of
// every turn.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "base/byte_buffer.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/loop.hpp"
#include "io/address_gate.hpp"
#include "io/tls/tls_server.hpp"
#include "stages/ingress/http/server.hpp"
#include "stages/ingress/mqtt/server.hpp"

namespace tocsin::app {

/// On its reactor's thread, but for describe(). Outlives nothing it was given.
class TlsListeners final : public flow::Ticker, public MetricSource {
 public:
  struct Settings {
    io::TlsServerLimits limits;  ///< Of each protocol.
    std::size_t memory_bytes;    ///< Of both together.
    io::AddressGate* gate;       ///< May be null.
    Log log;
  };
  TlsListeners(flow::Loop& loop, const Settings& settings,
               const std::shared_ptr<const io::TlsServerContext>& context,
               ingress::MqttServer& mqtt, ingress::HttpServer& http);
  TlsListeners(const TlsListeners&) = delete;
  TlsListeners& operator=(const TlsListeners&) = delete;
  ~TlsListeners();

  /// Both listen and put the real ports in place of 0. The error is a sentence for people.
  [[nodiscard]] Result<void, std::string> listen_mqtt(std::span<io::Endpoint> endpoints,
                                                      bool shared);
  [[nodiscard]] Result<void, std::string> listen_http(std::span<io::Endpoint> endpoints,
                                                      bool shared);
  /// For handshakes from now on.
  void set_context(const std::shared_ptr<const io::TlsServerContext>& context);
  /// Stops accepting; connections are for their protocols to end.
  void drain() noexcept;
  [[nodiscard]] bool closed() const noexcept { return mqtt_.closed() && http_.closed(); }

  MonoTime on_tick(MonoTime now) noexcept override;
  void describe(MetricSink& sink) const override;

 private:
  flow::Loop& loop_;
  ingress::MqttServer& mqtt_protocol_;
  ingress::HttpServer& http_protocol_;
  ByteBudget memory_;
  io::TlsServer mqtt_;
  io::TlsServer http_;
};

}  // namespace tocsin::app
