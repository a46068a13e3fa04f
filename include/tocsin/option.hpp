#pragma once
// Options are data: each component declares one table of OptionSpec; the TOML parser, the checker,
// the reference documentation and API schemas are derived from it.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin {

enum class OptionType : std::uint8_t {
  boolean,
  integer,
  duration_ms,  ///< TOML: integer milliseconds or text such as "1h30m", "250ms".
  bytes,        ///< TOML: integer or text such as "64KiB", "256MiB".
  text,
  secret,     ///< Text that never appears in logs, errors or answers.
  text_list,  ///< TOML array of strings (a single string is a list of one).
  choice,     ///< Text out of `choices`, separated by '|'.
  json,       ///< Any TOML value or a text of JSON; kept as compact JSON text.
};

struct OptionSpec {
  std::string_view key;
  OptionType type = OptionType::text;
  std::string_view fallback{};  ///< Default as TOML would write it; "" = none (empty, 0, false).
  std::int64_t min = 0;         ///< Inclusive range of numbers; of a text's bytes; of list entries.
  std::int64_t max = INT64_MAX;
  std::string_view help{};
  std::string_view choices{};
  bool required = false;
};

/// Values of one table, already checked against its OptionSpec array: every key of the array is
/// present (with its fallback where the file has none), so the getters never fail for them.
class OptionValues {
 public:
  void set_number(std::string_view key, std::int64_t value) { numbers_[std::string(key)] = value; }
  void set_text(std::string_view key, std::string value) {
    texts_[std::string(key)] = std::move(value);
  }
  void set_list(std::string_view key, std::vector<std::string> value) {
    lists_[std::string(key)] = std::move(value);
  }

  [[nodiscard]] bool flag(std::string_view key) const { return number(key) != 0; }
  [[nodiscard]] std::int64_t number(std::string_view key) const {
    const auto it = numbers_.find(key);
    return it == numbers_.end() ? 0 : it->second;
  }
  [[nodiscard]] const std::string& text(std::string_view key) const {
    static const std::string none;
    const auto it = texts_.find(key);
    return it == texts_.end() ? none : it->second;
  }
  [[nodiscard]] const std::vector<std::string>& list(std::string_view key) const {
    static const std::vector<std::string> none;
    const auto it = lists_.find(key);
    return it == lists_.end() ? none : it->second;
  }
  bool operator==(const OptionValues&) const = default;

 private:
  std::map<std::string, std::int64_t, std::less<>> numbers_;
  std::map<std::string, std::string, std::less<>> texts_;
  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
};

}  // namespace tocsin
