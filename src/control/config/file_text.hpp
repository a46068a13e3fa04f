#pragma once
// A whole small file as text.

#include <cstddef>
#include <string>

#include <tocsin/result.hpp>

namespace tocsin::config {

/// At most `size_max` bytes are accepted, and little more is ever read: the path may be a device
/// that never ends. The error completes a sentence about the file.
[[nodiscard]] Result<std::string, std::string> read_file(const std::string& path,
                                                         std::size_t size_max);

}  // namespace tocsin::config
