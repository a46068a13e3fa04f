#pragma once
// Topic patterns of access rules: an MQTT topic filter in which %c stands for the client id and %u
// for the user's name.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

namespace tocsin::auth {

/// What %c and %u stand for. Empty when there is none.
struct Substitutes {
  std::string_view client_id;
  std::string_view user;
};

/// One pattern, immutable. Matching allocates nothing; any thread.
///
/// A substituted value stands for itself within its level only: one that is empty or holds '/',
/// '+', '#' or NUL makes the pattern match nothing, so no client id can widen its own rights.
/// Topics whose first level begins with '$' are matched only by a pattern that begins with that
/// very '$' (MQTT 5.0 section 4.7.2), never by a wildcard or a substituted value.
class TopicPattern {
 public:
  static constexpr std::size_t size_max = 1024;

  /// "+" and "#" as in a topic filter (section 4.7.1); "%%" is a percent sign. The error is a
  /// sentence for people.
  [[nodiscard]] static Result<TopicPattern, std::string> compile(std::string_view text);

  /// Whether the pattern selects `topic`, a topic name.
  [[nodiscard]] bool matches(std::string_view topic, const Substitutes& values) const noexcept;
  /// Whether the pattern selects every topic that `filter`, a topic filter, selects.
  [[nodiscard]] bool covers(std::string_view filter, const Substitutes& values) const noexcept;
  [[nodiscard]] bool operator==(const TopicPattern&) const = default;

 private:
  enum class Piece : std::uint8_t { literal, client_id, user };
  struct Segment {
    Piece piece = Piece::literal;
    std::string text;  // Of a literal.
    bool operator==(const Segment&) const = default;
  };
  enum class Kind : std::uint8_t { text, any_one, any_rest };
  struct Level {
    Kind kind = Kind::text;
    std::vector<Segment> segments;
    bool operator==(const Level&) const = default;
  };

  [[nodiscard]] static Result<Level, std::string> compile_level(std::string_view text);
  [[nodiscard]] static bool equals(const Level& level, std::string_view text,
                                   const Substitutes& values) noexcept;
  [[nodiscard]] bool usable(const Substitutes& values) const noexcept;
  /// False when `first`, the first level of a topic or filter, is reserved and not meant.
  [[nodiscard]] bool allows_first(std::string_view first) const noexcept;

  std::vector<Level> levels_;
  bool uses_client_id_ = false;
  bool uses_user_ = false;
};

}  // namespace tocsin::auth
