#pragma once
// What is wrong with a configuration, and where.

#include <cstdint>
#include <string>
#include <vector>

namespace tocsin::config {

struct Diagnostic {
  std::string file;
  std::uint32_t line = 0;  ///< 1-based; 0 when the file as a whole is meant.
  std::string key;         ///< Full path, such as "channel[2].url"; may be empty.
  std::string message;
};
using Diagnostics = std::vector<Diagnostic>;

/// "FILE:LINE: KEY: MESSAGE".
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

}  // namespace tocsin::config
