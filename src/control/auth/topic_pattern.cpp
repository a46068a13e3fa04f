#include "control/auth/topic_pattern.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tocsin::auth {
namespace {

/// Walks the levels of a topic or filter. An empty level is a level (section 4.7.1.1).
class LevelWalk {
 public:
  explicit LevelWalk(std::string_view text) noexcept : rest_(text) {}
  [[nodiscard]] bool done() const noexcept { return done_; }
  std::string_view next() noexcept {
    const std::size_t slash = rest_.find('/');
    const std::string_view level = rest_.substr(0, slash);
    done_ = slash == std::string_view::npos;
    rest_.remove_prefix(done_ ? rest_.size() : slash + 1);
    return level;
  }

 private:
  std::string_view rest_;
  bool done_ = false;
};

bool fits_one_level(std::string_view value) noexcept {
  return !value.empty() && value.find_first_of(std::string_view("/+#\0", 4)) == value.npos;
}

}  // namespace

Result<TopicPattern::Level, std::string> TopicPattern::compile_level(std::string_view text) {
  if (text == "+") return Level{.kind = Kind::any_one, .segments = {}};
  if (text == "#") return Level{.kind = Kind::any_rest, .segments = {}};
  Level level;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) level.segments.push_back({Piece::literal, std::exchange(literal, {})});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+' || c == '#' || c == '\0') {
      return Unexpected{std::string("a wildcard must stand alone in its level")};
    }
    if (c != '%') {
      literal += c;
      continue;
    }
    const char what = ++i < text.size() ? text[i] : '\0';
    if (what == '%') {
      literal += '%';
    } else if (what == 'c' || what == 'u') {
      end_literal();
      level.segments.push_back({what == 'c' ? Piece::client_id : Piece::user, {}});
    } else {
      return Unexpected{std::string("after \"%\" comes \"c\", \"u\" or \"%\"")};
    }
  }
  end_literal();
  return level;
}

Result<TopicPattern, std::string> TopicPattern::compile(std::string_view text) {
  if (text.empty()) return Unexpected{std::string("must not be empty")};
  if (text.size() > size_max) return Unexpected{fmt::format("is longer than {} bytes", size_max)};
  if (text.starts_with("$share/")) {
    return Unexpected{
        std::string("names topics: what a shared subscription selects, not its group")};
  }
  TopicPattern pattern;
  for (LevelWalk walk(text); !walk.done();) {
    if (!pattern.levels_.empty() && pattern.levels_.back().kind == Kind::any_rest) {
      return Unexpected{std::string("\"#\" must be the last level")};
    }
    auto level = compile_level(walk.next());
    if (!level) return Unexpected{level.error()};
    for (const Segment& segment : level->segments) {
      pattern.uses_client_id_ |= segment.piece == Piece::client_id;
      pattern.uses_user_ |= segment.piece == Piece::user;
    }
    pattern.levels_.push_back(std::move(*level));
  }
  return pattern;
}

bool TopicPattern::usable(const Substitutes& values) const noexcept {
  return (!uses_client_id_ || fits_one_level(values.client_id)) &&
         (!uses_user_ || fits_one_level(values.user));
}

bool TopicPattern::allows_first(std::string_view first) const noexcept {
  if (!first.starts_with('$')) return true;
  const Level& level = levels_.front();
  return level.kind == Kind::text && !level.segments.empty() &&
         level.segments.front().piece == Piece::literal &&
         level.segments.front().text.starts_with('$');
}

bool TopicPattern::equals(const Level& level, std::string_view text,
                          const Substitutes& values) noexcept {
  for (const Segment& segment : level.segments) {
    const std::string_view expected = segment.piece == Piece::literal     ? segment.text
                                      : segment.piece == Piece::client_id ? values.client_id
                                                                          : values.user;
    if (!text.starts_with(expected)) return false;
    text.remove_prefix(expected.size());
  }
  return text.empty();
}

bool TopicPattern::matches(std::string_view topic, const Substitutes& values) const noexcept {
  if (!usable(values)) return false;
  LevelWalk walk(topic);
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    const Level& level = levels_[i];
    if (walk.done()) {
      // "a/#" also selects "a" (section 4.7.1.2).
      return level.kind == Kind::any_rest;
    }
    const std::string_view text = walk.next();
    if (i == 0 && !allows_first(text)) return false;
    if (level.kind == Kind::any_rest) return true;
    if (level.kind == Kind::text && !equals(level, text, values)) return false;
  }
  return walk.done();
}

bool TopicPattern::covers(std::string_view filter, const Substitutes& values) const noexcept {
  if (!usable(values)) return false;
  LevelWalk walk(filter);
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    const Level& level = levels_[i];
    if (walk.done()) return level.kind == Kind::any_rest;
    const std::string_view text = walk.next();
    if (i == 0 && !allows_first(text)) return false;
    if (level.kind == Kind::any_rest) return true;
    if (text == "#") {
      // It also selects what stands before it, where the pattern wants a level more. Only when that
      // would be the empty text, which is no topic, "+/#" selects as much as "#".
      const bool nothing_before = i == 0 || (i == 1 && filter.starts_with('/'));
      return nothing_before && level.kind == Kind::any_one && levels_.size() == i + 2 &&
             levels_.back().kind == Kind::any_rest;
    }
    if (level.kind == Kind::any_one) continue;
    if (text == "+" || !equals(level, text, values)) return false;
  }
  return walk.done();
}

}  // namespace tocsin::auth
