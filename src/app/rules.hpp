#pragma once
// The rules of all stages as one immutable snapshot: what a reload publishes.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tocsin/result.hpp>

#include "flow/catalogue.hpp"
#include "stages/match/rule_set.hpp"
#include "stages/render/renderer.hpp"
#include "stages/route/router.hpp"

namespace tocsin::app {

/// Everything a worker needs; the same rule has the same index in all parts.
struct RuleSnapshot {
  std::shared_ptr<const match::RuleSet> rules;
  std::shared_ptr<const route::RouteTable> routes;
  std::shared_ptr<const render::TemplateSet> templates;

  /// Compiles aside; nothing running is touched. The error names the rule.
  [[nodiscard]] static Result<std::shared_ptr<const RuleSnapshot>, std::string> compile(
      const std::vector<flow::RuleConfig>& rules, std::uint64_t seed);
};

}  // namespace tocsin::app
