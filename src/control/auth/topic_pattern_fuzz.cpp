// Goal: no pattern, topic or client id makes matching read out of bounds; and a filter that is
// covered selects only topics that match. Input: pattern, filter, topic, client id, user; a line
// each.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/auth/topic_pattern.hpp"
#include "flow/sources.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::array<std::string_view, 5> lines;
  for (std::string_view& line : lines) {
    line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  const auto pattern = auth::TopicPattern::compile(lines[0]);
  if (!pattern) return 0;
  const auth::Substitutes values{.client_id = lines[3], .user = lines[4]};
  const bool matches = pattern->matches(lines[2], values);
  const bool covers = pattern->covers(lines[1], values);
  if (!flow::topic_filter_valid(lines[1]) || !flow::topic_name_valid(lines[2])) return 0;
  if (covers && flow::topic_matches(lines[1], lines[2]) && !matches) std::abort();
  return 0;
}
