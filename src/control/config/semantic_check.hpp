#pragma once
// Checks across resources: names that must exist, patterns and templates that must compile,
// listeners that must be safe, loops through a broker.

#include "control/config/config.hpp"
#include "control/config/diagnostic.hpp"

namespace tocsin::config {

void check_semantics(const EngineConfig& config, const std::string& file, Diagnostics& diagnostics);

}  // namespace tocsin::config
