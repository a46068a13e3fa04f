#include "flow/sources.hpp"

#include <fmt/format.h>

namespace tocsin::flow {
namespace {

std::vector<std::string_view> split_levels(std::string_view text) {
  std::vector<std::string_view> levels;
  for (;;) {
    const std::size_t slash = text.find('/');
    levels.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return levels;
    text.remove_prefix(slash + 1);
  }
}

// Takes the next level off `rest`; false when there is none left.
bool next_level(std::string_view& rest, bool& done, std::string_view& level) noexcept {
  if (done) return false;
  const std::size_t slash = rest.find('/');
  level = rest.substr(0, slash);
  if (slash == std::string_view::npos) {
    done = true;
  } else {
    rest.remove_prefix(slash + 1);
  }
  return true;
}

bool is_capture(std::string_view level) noexcept {
  return level.size() > 2 && level.front() == '{' && level.back() == '}';
}

}  // namespace

bool topic_name_valid(std::string_view topic) noexcept {
  return !topic.empty() && topic.find_first_of(std::string_view{"+#\0", 3}) == topic.npos;
}

bool topic_filter_valid(std::string_view filter) noexcept {
  if (filter.empty() || filter.find('\0') != filter.npos) return false;
  bool done = false;
  std::string_view level;
  while (next_level(filter, done, level)) {
    if (level == "+") continue;
    if (level == "#") return done;
    if (level.find_first_of("+#") != level.npos) return false;
  }
  return true;
}

bool topic_matches(std::string_view filter, std::string_view topic) noexcept {
  // Section 4.7.2: a leading wildcard does not match topics that begin with "$".
  if (!topic.empty() && topic[0] == '$' && !filter.empty() && filter[0] != '$') return false;
  bool filter_done = false;
  bool topic_done = false;
  std::string_view f;
  std::string_view t;
  while (next_level(filter, filter_done, f)) {
    if (f == "#") return true;
    if (!next_level(topic, topic_done, t)) return false;
    if (f != "+" && f != t) return false;
    // "sport/#" also matches "sport" (section 4.7.1.2).
    if (topic_done && !filter_done && filter == "#") return true;
  }
  return topic_done;
}

bool topic_filters_overlap(std::string_view a, std::string_view b) noexcept {
  bool a_done = false;
  bool b_done = false;
  std::string_view x;
  std::string_view y;
  for (;;) {
    const bool more_a = next_level(a, a_done, x);
    const bool more_b = next_level(b, b_done, y);
    if (!more_a && !more_b) return true;
    if (!more_a) return y == "#";
    if (!more_b) return x == "#";
    if (x == "#" || y == "#") return true;
    if (x != "+" && y != "+" && x != y) return false;
  }
}

Result<std::shared_ptr<const SourceTable>, std::string> SourceTable::build(
    std::vector<SourceConfig> sources) {
  auto table = std::make_shared<SourceTable>();
  table->sources_ = std::move(sources);
  for (std::size_t i = 0; i < table->sources_.size(); ++i) {
    const SourceConfig& source = table->sources_[i];
    if (!table->by_name_.emplace(source.name, i).second) {
      return Unexpected{fmt::format("event source \"{}\" is defined twice", source.name)};
    }
    if (source.topic.empty()) continue;
    TopicPattern pattern{.source = i, .levels = {}};
    std::string filter;
    std::size_t captures = 0;
    for (const std::string_view level : split_levels(source.topic)) {
      filter += filter.empty() && pattern.levels.empty() ? "" : "/";
      if (is_capture(level)) {
        ++captures;
        pattern.levels.push_back(
            {std::string(level.substr(1, level.size() - 2)), Level::Kind::capture});
        filter += '+';
      } else {
        const auto kind = level == "+"   ? Level::Kind::any_one
                          : level == "#" ? Level::Kind::any_rest
                                         : Level::Kind::literal;
        pattern.levels.push_back({std::string(level), kind});
        filter += level;
      }
    }
    if (!topic_filter_valid(filter)) {
      return Unexpected{fmt::format("\"{}\" is not a valid topic filter", source.topic)};
    }
    if (captures > TopicMatch{}.captures.size()) {
      return Unexpected{fmt::format("\"{}\" captures more than 16 levels", source.topic)};
    }
    table->patterns_.push_back(std::move(pattern));
  }
  return std::shared_ptr<const SourceTable>(std::move(table));
}

const SourceConfig* SourceTable::find(std::string_view name) const noexcept {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &sources_[it->second];
}

std::optional<TopicMatch> SourceTable::match_topic(std::string_view topic) const noexcept {
  for (const TopicPattern& pattern : patterns_) {
    TopicMatch match;
    std::string_view rest = topic;
    bool done = false;
    bool matched = true;
    bool open_end = false;
    for (std::size_t i = 0; matched && !open_end && i < pattern.levels.size(); ++i) {
      const Level& level = pattern.levels[i];
      if (level.kind == Level::Kind::any_rest) {
        open_end = true;
        break;
      }
      std::string_view value;
      matched = next_level(rest, done, value);
      if (!matched) break;
      const bool dollar = i == 0 && value.starts_with('$');
      if (level.kind == Level::Kind::literal) {
        matched = value == level.text;
      } else if (dollar) {
        matched = false;
      } else if (level.kind == Level::Kind::capture) {
        match.captures[match.capture_count++] = {level.text, value};
      }
      // "sport/#" also matches "sport".
      if (matched && done && i + 2 == pattern.levels.size() &&
          pattern.levels[i + 1].kind == Level::Kind::any_rest) {
        open_end = true;
      }
    }
    if (matched && (open_end || done)) {
      match.source = &sources_[pattern.source];
      return match;
    }
  }
  return std::nullopt;
}

}  // namespace tocsin::flow
