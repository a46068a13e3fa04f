#include "app/rules.hpp"

namespace tocsin::app {
namespace {

// A body that is a JSON object or array gets its variables as JSON; "{{" begins a variable.
render::Escape escape_of(const flow::RuleConfig& rule) {
  const std::size_t at = rule.body.find_first_not_of(" \t\r\n");
  if (at == std::string::npos) return render::Escape::none;
  const bool object = rule.body[at] == '{' && rule.body.compare(at, 2, "{{") != 0;
  return object || rule.body[at] == '[' ? render::Escape::json : render::Escape::none;
}

}  // namespace

Result<std::shared_ptr<const RuleSnapshot>, std::string> RuleSnapshot::compile(
    const std::vector<flow::RuleConfig>& rules, std::uint64_t seed) {
  auto set = match::RuleSet::compile(rules, seed);
  if (!set) return Unexpected{set.error()};
  auto routes = route::RouteTable::compile(rules);
  if (!routes) return Unexpected{routes.error()};
  auto templates = render::TemplateSet::compile(rules, escape_of);
  if (!templates) return Unexpected{templates.error()};
  return std::make_shared<const RuleSnapshot>(
      RuleSnapshot{.rules = *set, .routes = *routes, .templates = *templates});
}

}  // namespace tocsin::app
