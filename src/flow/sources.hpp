#pragma once
// The event sources as an immutable lookup structure: by name and by MQTT topic.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tocsin/result.hpp>

#include "flow/catalogue.hpp"

namespace tocsin::flow {

struct Capture {
  std::string_view name;   ///< View into the source table.
  std::string_view value;  ///< View into the topic.
};

struct TopicMatch {
  const SourceConfig* source = nullptr;
  std::array<Capture, 16> captures;
  std::size_t capture_count = 0;
};

/// Whether `topic` matches an MQTT topic filter (MQTT 5.0 section 4.7), "+" and "#" included.
[[nodiscard]] bool topic_matches(std::string_view filter, std::string_view topic) noexcept;
/// Whether `filter` is a valid topic filter (section 4.7.1); wildcards stand alone in their level.
[[nodiscard]] bool topic_filter_valid(std::string_view filter) noexcept;
/// Whether `topic` is a valid topic name: not empty, no wildcards, no NUL.
[[nodiscard]] bool topic_name_valid(std::string_view topic) noexcept;
/// Whether some topic matches both filters.
[[nodiscard]] bool topic_filters_overlap(std::string_view a, std::string_view b) noexcept;

class SourceTable {
 public:
  /// Fails with a message when a topic is not a valid filter or a name is used twice.
  [[nodiscard]] static Result<std::shared_ptr<const SourceTable>, std::string> build(
      std::vector<SourceConfig> sources);

  [[nodiscard]] const SourceConfig* find(std::string_view name) const noexcept;
  /// The first source, in file order, whose filter matches.
  [[nodiscard]] std::optional<TopicMatch> match_topic(std::string_view topic) const noexcept;
  [[nodiscard]] const std::vector<SourceConfig>& sources() const noexcept { return sources_; }

 private:
  struct Level {
    std::string text;  // Literal, or the capture's name.
    enum class Kind : std::uint8_t { literal, capture, any_one, any_rest } kind = Kind::literal;
  };
  struct TopicPattern {
    std::size_t source = 0;
    std::vector<Level> levels;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::vector<SourceConfig> sources_;
  std::vector<TopicPattern> patterns_;
  std::unordered_map<std::string, std::size_t, NameHash, std::equal_to<>> by_name_;
};

}  // namespace tocsin::flow
