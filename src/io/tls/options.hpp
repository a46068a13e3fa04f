#pragma once
// Options of TLS listeners, for all protocols together.

#include <array>
#include <cstdint>
#include <string>

#include <tocsin/option.hpp>
#include <tocsin/time.hpp>

namespace tocsin::io {

inline constexpr std::array tls_options{
    OptionSpec{.key = "certificate",
               .type = OptionType::text,
               .max = 4096,
               .help = "PEM file: the server's certificate, then those between it and its "
                       "authority. Read again at a reload."},
    OptionSpec{.key = "key",
               .type = OptionType::text,
               .max = 4096,
               .help = "PEM file of its private key (RSA or ECDSA)."},
    OptionSpec{.key = "client_ca",
               .type = OptionType::text,
               .max = 4096,
               .help = "PEM file of authorities that client certificates are verified against. "
                       "Without it no client is asked for one."},
    OptionSpec{.key = "client_required",
               .type = OptionType::boolean,
               .fallback = "false",
               .help = "A client without a certificate of client_ca cannot connect."},
    OptionSpec{.key = "handshake_timeout_ms",
               .type = OptionType::duration_ms,
               .fallback = "10s",
               .min = 100,
               .max = 600'000,
               .help = "For one handshake; and for waiting for its beginning."},
    OptionSpec{.key = "handshakes_max",
               .type = OptionType::integer,
               .fallback = "256",
               .min = 1,
               .max = 65'536,
               .help = "Handshakes that a reactor thread has under way for one protocol; further "
                       "connections wait for their turn."},
};

struct TlsServerOptions {
  std::string certificate;
  std::string key;
  std::string client_ca;
  bool client_required = false;
  Duration handshake_timeout = std::chrono::seconds(10);
  std::uint32_t handshakes_max = 256;

  [[nodiscard]] static TlsServerOptions from(const OptionValues& values);
};

}  // namespace tocsin::io
