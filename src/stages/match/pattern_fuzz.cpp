// A pattern, a newline, an event: no crash, and the matcher agrees with the reference.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "stages/match/match_test_support.hpp"
#include "stages/match/matcher.hpp"
#include "stages/match/reference_matcher.hpp"

namespace {
// The reference tries every combination: keep what it is given small.
constexpr std::size_t event_size_max = 256;
constexpr std::size_t pattern_size_max = 256;
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\n');
  if (cut == std::string_view::npos) return 0;
  flow::RuleConfig rule;
  rule.name = "fuzz";
  rule.pattern = input.substr(0, cut);
  const auto rules = match::RuleSet::compile({&rule, 1}, 42);
  if (!rules) return 0;
  const std::string_view payload = input.substr(cut + 1);
  const match::TestDocument event(payload);
  if (!event.valid()) return 0;
  match::Matcher matcher(*rules, payload.size() + 1);
  const match::TestRecord record(payload);
  std::vector<match::RuleIndex> out;
  matcher.match(record.view(), out);
  const match::TestDocument pattern(rule.pattern);
  if (!pattern.valid() || payload.size() > event_size_max ||
      rule.pattern.size() > pattern_size_max) {
    return 0;
  }
  if (out.empty() == match::reference::matches(pattern.root(), event.root())) std::abort();
  return 0;
}
