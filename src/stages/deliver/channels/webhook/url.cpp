#include "stages/deliver/channels/webhook/url.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "io/egress/policy.hpp"

namespace tocsin::deliver {
namespace {

Result<std::uint16_t, std::string> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
    return Unexpected{std::string("has a bad port")};
  }
  return port;
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == host.npos ? host : fmt::format("[{}]", host);
  return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

bool same_origin(const Url& a, const Url& b) noexcept {
  return a.tls == b.tls && a.port == b.port && a.host == b.host;
}

Result<Url, std::string> parse_url(std::string_view text) {
  Url url;
  const auto fail = [](std::string_view why) { return Unexpected{std::string(why)}; };
  if (std::ranges::any_of(text, [](unsigned char c) { return c <= 0x20 || c >= 0x7F; })) {
    return fail("holds a space, a control character or a non-ASCII character");
  }
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
    url.tls = false;
    url.port = 80;
  } else {
    return fail("does not begin with https://");
  }
  const std::size_t path = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, path);
  const std::string_view target = text.substr(path);
  if (target.find('#') != target.npos) return fail("has a fragment");
  if (authority.find('@') != authority.npos) return fail("has user information");
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == authority.npos) return fail("has an unclosed bracket");
    url.host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
    if (!authority.empty() && authority[0] != ':') return fail("has a bad port");
    port = authority.empty() ? authority : authority.substr(1);
    if (url.host.find(':') == url.host.npos) return fail("has a bad IPv6 address");
    if (!authority.empty() && port.empty()) return fail("has a bad port");
  } else {
    const std::size_t colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != authority.npos) {
      port = authority.substr(colon + 1);
      if (port.empty()) return fail("has a bad port");
    }
  }
  if (!io::host_acceptable(url.host)) return fail("has a host that cannot be used");
  if (!port.empty()) {
    const auto number = parse_port(port);
    if (!number) return Unexpected{number.error()};
    url.port = *number;
  }
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

}  // namespace tocsin::deliver
