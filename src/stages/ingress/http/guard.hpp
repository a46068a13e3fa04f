#pragma once
// Keeps web pages in a browser on this machine from using the listener: neither by a cross-site
// request nor by a host name that has been rebound to a loopback address.

#include <cstdint>
#include <string>
#include <vector>

#include "io/io.hpp"
#include "protocol/http/request_parser.hpp"

namespace tocsin::ingress {

enum class GuardVerdict : std::uint8_t { allowed, foreign_host, foreign_origin };

class RequestGuard {
 public:
  explicit RequestGuard(std::vector<std::string> host_names) : host_names_(std::move(host_names)) {}

  /// `loopback`: the connection came in on a plain loopback listener.
  [[nodiscard]] GuardVerdict check(const http::Request& request, bool loopback) const noexcept;

 private:
  [[nodiscard]] bool host_is_ours(std::string_view authority) const noexcept;

  std::vector<std::string> host_names_;
};

}  // namespace tocsin::ingress
