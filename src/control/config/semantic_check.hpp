#pragma once
// Checks across resources: names that must exist, patterns and templates that must compile,
// listeners that must be safe, loops through a broker. Internal to this room.

#include <cstdint>
#include <functional>
#include <string>

#include "control/config/config.hpp"
#include "control/config/diagnostic.hpp"
#include "control/config/option_parser.hpp"

namespace tocsin::config {

/// The line of a key path such as "rule[2].pattern"; of what surrounds it when it is not written.
using LineOf = std::function<std::uint32_t(const std::string& path)>;

/// Adds to the context's diagnostics. What they already find wrong is not checked again: it stands
/// with fallbacks in `config`, and one mistake is one message.
void check_semantics(const EngineConfig& config, const ParseContext& context,
                     const LineOf& line_of_path);

}  // namespace tocsin::config
