// Who may connect: users, limits and certificates, when the engine is built and when it reloads.

#include <fmt/format.h>

#include "app/parts.hpp"
#include "io/posix/clocks.hpp"

namespace tocsin::app {

Result<std::shared_ptr<const auth::UserTable>, std::string> Engine::Parts::compile_users(
    const config::EngineConfig& from) const {
  auto options = auth::AuthOptions::from(from.auth);
  // Threads and memory of hashing were set up at the start.
  options.hash_memory_max = auth::AuthOptions::from(config.auth).hash_memory_max;
  auto table = auth::UserTable::build(options, from.users);
  if (!table) return Unexpected{fmt::format("{}: {}", table.error().key, table.error().message)};
  if (!(*table)->decoy().empty() && memory.hash_bytes == 0) {
    return Unexpected{
        std::string("no user had a password before, and memory for checking them is set aside at "
                    "the start only")};
  }
  return *table;
}

Result<void, std::string> Engine::Parts::make_auth() {
  auto users = compile_users(config);
  if (!users) return Unexpected{users.error()};
  const auto options = auth::AuthOptions::from(config.auth);
  auth = std::make_unique<auth::AuthService>(options, *users, environment.processors,
                                             io::posix::mono_now);
  if (options.connections_per_address_max > 0 || options.connects_per_address_max > 0) {
    connection_limits = std::make_unique<auth::ConnectionLimits>(
        auth::ConnectionLimits::Limits{.connections_max = options.connections_per_address_max,
                                       .connects_per_s_max = options.connects_per_address_max},
        seed, io::posix::mono_now);
  }
  for (Reactor& reactor : reactors) {
    reactor.mqtt->set_authenticator(auth.get());
    reactor.mqtt->set_gate(connection_limits.get());
    reactor.http->set_authenticator(auth.get());
    reactor.http->set_gate(connection_limits.get());
  }
  return {};
}

Result<Engine::Parts::TlsContexts, std::string> Engine::Parts::load_tls(
    const config::EngineConfig& from) const {
  TlsContexts contexts;
  if (!config::has_tls_listeners(config)) return contexts;
  for (std::size_t i = 0; i < reactors.size(); ++i) {
    auto context = io::make_tls_server_context(io::TlsServerOptions::from(from.tls));
    if (!context) return Unexpected{"tls." + context.error()};
    contexts.push_back(std::move(*context));
  }
  return contexts;
}

void Engine::Parts::apply_tls(const TlsContexts& contexts) {
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    threads.call(*reactors[i].loop, [&] { reactors[i].tls->set_context(contexts[i]); });
    certificate_expires_s = to_us(contexts[i]->expires()) / 1'000'000;
  }
}

Result<void, std::string> Engine::Parts::make_tls() {
  const auto contexts = load_tls(config);
  if (!contexts) return Unexpected{contexts.error()};
  const auto options = io::TlsServerOptions::from(config.tls);
  for (std::size_t i = 0; i < contexts->size(); ++i) {
    Reactor& reactor = reactors[i];
    reactor.tls = std::make_unique<TlsListeners>(
        *reactor.loop,
        TlsListeners::Settings{.limits = {.connections_max = memory.connections_max,
                                          .handshakes_max = options.handshakes_max,
                                          .handshake_timeout = options.handshake_timeout},
                               .memory_bytes = memory.tls_bytes,
                               .gate = connection_limits.get(),
                               .log = environment.log},
        (*contexts)[i], *reactor.mqtt, *reactor.http);
  }
  apply_tls(*contexts);
  return {};
}

Result<void, std::string> Engine::Parts::listen_tls(Listening& listening, bool shared) {
  if (!config::has_tls_listeners(config)) return {};
  auto http_endpoints = ingress::listen_tls_endpoints(config::http_options_of(config));
  if (!http_endpoints) return Unexpected{"http: " + http_endpoints.error()};
  listening.http_tls = std::move(*http_endpoints);
  for (const std::string& text : config::mqtt_options_of(config).listen_tls) {
    const auto endpoint = io::parse_endpoint(text);
    if (!endpoint) return Unexpected{fmt::format("mqtt: \"{}\" is not an address", text)};
    listening.mqtt_tls.push_back(*endpoint);
  }
  if (shared && environment.probe_port) {
    for (const auto* endpoints : {&listening.http_tls, &listening.mqtt_tls}) {
      for (const io::Endpoint& endpoint : *endpoints) {
        if (auto free = environment.probe_port(endpoint); !free) return Unexpected{free.error()};
      }
    }
  }
  for (Reactor& reactor : reactors) {
    if (auto done = reactor.tls->listen_http(listening.http_tls, shared); !done) return done;
    if (auto done = reactor.tls->listen_mqtt(listening.mqtt_tls, shared); !done) return done;
  }
  return {};
}

}  // namespace tocsin::app
