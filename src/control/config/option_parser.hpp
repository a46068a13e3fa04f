#pragma once
// From one TOML table and its option table to checked OptionValues. Internal to this room: the only
// header that shows toml++.

#include <initializer_list>
#include <span>
#include <string>

// The parser asserts what its input should look like before it reports an error about it
// ("[[#x]]"): a typing mistake in a file must not end a running process.
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include <tocsin/option.hpp>

#include "control/config/diagnostic.hpp"

namespace tocsin::config {

struct ParseContext {
  std::string file;
  Diagnostics& diagnostics;
  /// Adds a diagnostic for `key` at `line`.
  void report(std::uint32_t line, std::string key, std::string message) const {
    diagnostics.push_back({file, line, std::move(key), std::move(message)});
  }
};

/// Reads every option of `specs` from `table` (null = all fallbacks) below the key path `path`.
/// Each problem is reported; the fallback stands for a value that is refused.
[[nodiscard]] OptionValues parse_options(const toml::table* table,
                                         std::span<const OptionSpec> specs, const std::string& path,
                                         const ParseContext& context);

/// Reports the keys of `table` that none of the option tables name, with the nearest known key.
void report_unknown_keys(const toml::table& table,
                         std::initializer_list<std::span<const OptionSpec>> tables,
                         const std::string& path, const ParseContext& context);

/// Sets the fallback of `spec`. What its own reader says against it, or empty.
[[nodiscard]] std::string apply_fallback(const OptionSpec& spec, OptionValues& values);

/// A TOML value as compact JSON text.
[[nodiscard]] std::string to_json(const toml::node& node);

[[nodiscard]] inline std::uint32_t line_of(const toml::node& node) {
  return static_cast<std::uint32_t>(node.source().begin.line);
}

}  // namespace tocsin::config
