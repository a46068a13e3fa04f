#include <algorithm>
#include <charconv>

#include "base/ascii.hpp"
#include "flow/broker_client.hpp"

namespace tocsin::flow {
namespace {

bool is_loopback(std::string_view host) {
  const auto address = io::parse_address(host, 0);
  return host == "localhost" || (address && address->is_loopback());
}

}  // namespace

bool same_broker(const BrokerUri& a, const BrokerUri& b) {
  return a.host == b.host || (is_loopback(a.host) && is_loopback(b.host));
}

std::optional<BrokerUri> parse_broker_uri(std::string_view text) {
  constexpr std::string_view plain = "mqtt://";
  constexpr std::string_view secure = "mqtts://";
  constexpr std::size_t host_size_max = 253;
  BrokerUri uri;
  uri.tls = text.starts_with(secure);
  if (!uri.tls && !text.starts_with(plain)) return std::nullopt;
  text.remove_prefix(uri.tls ? secure.size() : plain.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  uri.port = uri.tls ? 8883 : 1883;

  const bool bracketed = text.starts_with('[');
  const std::size_t host_end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && host_end == text.npos) return std::nullopt;
  const std::string_view host = bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end);
  std::string_view rest =
      host_end == text.npos ? std::string_view{} : text.substr(host_end + (bracketed ? 1 : 0));
  const std::string_view allowed = bracketed
                                       ? "0123456789abcdefABCDEF:."
                                       : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-._";
  if (host.empty() || host.size() > host_size_max) return std::nullopt;
  if (host.find_first_not_of(allowed) != host.npos) return std::nullopt;
  uri.host = host;
  std::transform(uri.host.begin(), uri.host.end(), uri.host.begin(), ascii_lower);
  if (rest.empty()) return uri;
  if (!rest.starts_with(':')) return std::nullopt;
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), uri.port);
  const bool port_ok = error == std::errc{} && end == rest.data() + rest.size() && uri.port > 0;
  return port_ok ? std::optional{uri} : std::nullopt;
}

std::string topic_cover(std::string_view topic_template) {
  const std::size_t brace = topic_template.find('{');
  if (brace == topic_template.npos) return std::string(topic_template);
  const std::size_t slash = topic_template.substr(0, brace).rfind('/');
  if (slash == topic_template.npos) return "#";
  return std::string(topic_template.substr(0, slash + 1)) + "#";
}

}  // namespace tocsin::flow
