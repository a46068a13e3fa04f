#include "app/tls_listeners.hpp"

#include <algorithm>

namespace tocsin::app {
namespace {

template <class Server>
io::TlsServer::Accept accept_into(Server& server) {
  return [&server](io::StreamControl& control, io::StreamId stream, const io::Endpoint& peer,
                   std::string_view certificate_name) {
    return server.accept(control, stream, peer, certificate_name);
  };
}

Result<void, std::string> listen_all(io::TlsServer& server, std::span<io::Endpoint> endpoints,
                                     bool shared) {
  for (io::Endpoint& endpoint : endpoints) {
    auto bound = server.listen(endpoint, shared);
    if (!bound) return Unexpected{bound.error()};
    endpoint = *bound;
  }
  return {};
}

}  // namespace

TlsListeners::TlsListeners(flow::Loop& loop, const Settings& settings,
                           const std::shared_ptr<const io::TlsServerContext>& context,
                           ingress::MqttServer& mqtt, ingress::HttpServer& http)
    : loop_(loop),
      mqtt_protocol_(mqtt),
      http_protocol_(http),
      memory_(settings.memory_bytes),
      mqtt_(loop.io(), "mqtt", settings.limits, memory_, settings.gate, settings.log, context,
            accept_into(mqtt)),
      http_(loop.io(), "http", settings.limits, memory_, settings.gate, settings.log, context,
            accept_into(http)) {
  mqtt_.set_room([&mqtt] { return mqtt.room(); });
  http_.set_room([&http] { return http.room(); });
  mqtt.set_expected([this] { return mqtt_.unfinished(); });
  http.set_expected([this] { return http_.unfinished(); });
  loop_.add_ticker(*this);
}

TlsListeners::~TlsListeners() {
  loop_.remove_ticker(*this);
  mqtt_protocol_.set_expected(nullptr);
  http_protocol_.set_expected(nullptr);
}

Result<void, std::string> TlsListeners::listen_mqtt(std::span<io::Endpoint> endpoints,
                                                    bool shared) {
  return listen_all(mqtt_, endpoints, shared);
}

Result<void, std::string> TlsListeners::listen_http(std::span<io::Endpoint> endpoints,
                                                    bool shared) {
  return listen_all(http_, endpoints, shared);
}

void TlsListeners::set_context(const std::shared_ptr<const io::TlsServerContext>& context) {
  mqtt_.set_context(context);
  http_.set_context(context);
}

void TlsListeners::drain() noexcept {
  mqtt_.drain();
  http_.drain();
}

MonoTime TlsListeners::on_tick(MonoTime now) noexcept {
  return std::min(mqtt_.tick(now), http_.tick(now));
}

void TlsListeners::describe(MetricSink& sink) const {
  mqtt_.describe(sink);
  http_.describe(sink);
  sink.gauge("tocsin_tls_memory_bytes", "Memory that TLS connections are charged with.", {},
             static_cast<double>(memory_.used()));
}

}  // namespace tocsin::app
