#include "io/io.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace tocsin::io {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

bool Endpoint::is_loopback() const noexcept {
  if (family == Family::v4) return address[0] == 127;
  for (std::size_t i = 0; i < 15; ++i) {
    if (address[i] != 0) return false;
  }
  return address[15] == 1;
}

std::optional<Endpoint> parse_address(std::string_view text, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.port = port;
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  const std::string terminated(text);
  // inet_pton takes dotted decimal without leading zeros only: what we want.
  if (inet_pton(AF_INET, terminated.c_str(), endpoint.address.data()) == 1) return endpoint;
  endpoint.family = Endpoint::Family::v6;
  if (inet_pton(AF_INET6, terminated.c_str(), endpoint.address.data()) == 1) return endpoint;
  return std::nullopt;
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto endpoint = parse_address(host, *port);
  if (endpoint && bracketed != (endpoint->family == Endpoint::Family::v6)) return std::nullopt;
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v6 = endpoint.family == Endpoint::Family::v6;
  inet_ntop(v6 ? AF_INET6 : AF_INET, endpoint.address.data(), text.data(), text.size());
  return v6 ? fmt::format("[{}]:{}", text.data(), endpoint.port)
            : fmt::format("{}:{}", text.data(), endpoint.port);
}

std::string_view to_string(Backend backend) noexcept {
  switch (backend) {
    case Backend::uring:
      return "uring";
    case Backend::uring_single:
      return "uring-single";
    case Backend::epoll:
      return "epoll";
    case Backend::sim:
      return "sim";
  }
  return "unknown";
}

}  // namespace tocsin::io
