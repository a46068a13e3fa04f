#pragma once
// Where a command of the command line connects to.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

#include "io/io.hpp"

namespace tocsin::cli {

struct Target {
  std::string host;  ///< Without the brackets of an IPv6 address.
  std::uint16_t port = 0;
  bool operator==(const Target&) const = default;
};

/// "host:port", "host", ":port" (this machine), "[::1]:port", and the same behind "http://" or
/// "mqtt://" and before a single "/". Other schemes, paths and ports out of range are refused with
/// a sentence.
[[nodiscard]] Result<Target, std::string> parse_target(std::string_view text,
                                                       std::uint16_t default_port);

/// "host:port" as in an HTTP Host field.
[[nodiscard]] std::string to_string(const Target& target);

/// Addresses in the order in which they should be tried. Blocks while the system's resolver works.
[[nodiscard]] Result<std::vector<io::Endpoint>, std::string> resolve(const Target& target);

}  // namespace tocsin::cli
