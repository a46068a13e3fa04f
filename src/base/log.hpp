#pragma once
// Operational log of the process: one line an event on stderr, through spdlog. Built by main and
// passed down; never called per event. Values from outside are escaped by log_safe().

#include <memory>
#include <string>
#include <string_view>

#include <spdlog/logger.h>

namespace tocsin {

using Log = std::shared_ptr<spdlog::logger>;

/// A logger on stderr with time, level and text.
[[nodiscard]] Log make_log(std::string_view level);
/// A logger that drops everything: for tests.
[[nodiscard]] Log make_null_log();

/// Bytes from outside, made safe for a log line: control characters and non-ASCII escaped, cut at
/// `size_max`.
[[nodiscard]] std::string log_safe(std::string_view text, std::size_t size_max = 200);

}  // namespace tocsin
