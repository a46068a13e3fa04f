#include "app/rules.hpp"

namespace tocsin::app {

Result<std::shared_ptr<const RuleSnapshot>, std::string> RuleSnapshot::compile(
    const std::vector<flow::RuleConfig>& rules, std::uint64_t seed) {
  auto set = match::RuleSet::compile(rules, seed);
  if (!set) return Unexpected{set.error()};
  auto routes = route::RouteTable::compile(rules);
  if (!routes) return Unexpected{routes.error()};
  auto templates = render::TemplateSet::compile(rules);
  if (!templates) return Unexpected{templates.error()};
  return std::make_shared<const RuleSnapshot>(
      RuleSnapshot{.rules = *set, .routes = *routes, .templates = *templates});
}

}  // namespace tocsin::app
