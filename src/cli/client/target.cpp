#include "cli/client/target.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "io/posix/sockets.hpp"

namespace tocsin::cli {
namespace {

Result<std::uint16_t, std::string> parse_port(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
    return Unexpected{fmt::format("\"{}\": the port must be a number from 1 to 65535", whole)};
  }
  return port;
}

}  // namespace

Result<Target, std::string> parse_target(std::string_view text, std::uint16_t default_port) {
  const std::string_view whole = text;
  if (const auto scheme_end = text.find("://"); scheme_end != text.npos) {
    const std::string_view scheme = text.substr(0, scheme_end);
    if (scheme != "http" && scheme != "mqtt") {
      return Unexpected{fmt::format("\"{}\": only http:// and mqtt:// are spoken here", whole)};
    }
    text.remove_prefix(scheme_end + 3);
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of("/?# @") != text.npos) {
    return Unexpected{fmt::format("\"{}\": expected HOST:PORT and nothing else", whole)};
  }
  Target target{.host = std::string(text), .port = default_port};
  std::string_view after = {};
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == text.npos) return Unexpected{fmt::format("\"{}\": \"]\" is missing", whole)};
    target.host = text.substr(1, bracket - 1);
    after = text.substr(bracket + 1);
    if (!after.empty() && after[0] != ':') {
      return Unexpected{fmt::format("\"{}\": expected [ADDRESS]:PORT", whole)};
    }
  } else if (const auto colon = text.find(':'); colon != text.npos) {
    if (text.find(':', colon + 1) != text.npos) {
      return Unexpected{fmt::format("\"{}\": an IPv6 address needs brackets", whole)};
    }
    target.host = text.substr(0, colon);
    after = text.substr(colon);
  }
  if (!after.empty()) {
    const auto port = parse_port(after.substr(1), whole);
    if (!port) return Unexpected{port.error()};
    target.port = *port;
  }
  if (target.host.empty()) {
    if (after.empty() || text.starts_with('[')) {
      return Unexpected{fmt::format("\"{}\": the host is missing", whole)};
    }
    target.host = "127.0.0.1";
  }
  return target;
}

std::string to_string(const Target& target) {
  const bool v6 = target.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", target.host, v6 ? "]" : "", target.port);
}

Result<std::vector<io::Endpoint>, std::string> resolve(const Target& target) {
  if (const auto address = io::parse_address(target.host, target.port)) {
    return std::vector{*address};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &found);
  if (error != 0) {
    return Unexpected{fmt::format("cannot find {}: {}", target.host, gai_strerror(error))};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<io::Endpoint> endpoints;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    sockaddr_storage address{};
    std::memcpy(&address, each->ai_addr, each->ai_addrlen);
    endpoints.push_back(io::posix::from_sockaddr(address));
  }
  return endpoints;
}

}  // namespace tocsin::cli
