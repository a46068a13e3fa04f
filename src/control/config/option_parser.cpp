#include "control/config/option_parser.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "control/config/file_text.hpp"
#include "control/config/units.hpp"
#include "protocol/json/text.hpp"

namespace tocsin::config {
namespace {

constexpr std::size_t secret_file_size_max = 64 * 1024;
constexpr std::size_t suggestion_size_max = 64;  // The distance costs the product of the lengths.

// A quoted key may hold anything, and a diagnostic is one line.
std::string printable(std::string_view key) {
  constexpr std::size_t key_size_max = 128;
  std::string text(key.substr(0, key_size_max));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '\x7F') c = '?';
  }
  return text;
}

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? printable(key) : fmt::format("{}.{}", path, printable(key));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string suggestion(std::string_view key, std::span<const OptionSpec> specs) {
  std::string_view best;
  std::size_t best_distance = 3;
  if (key.size() > suggestion_size_max) return {};
  for (const OptionSpec& spec : specs) {
    const std::size_t distance = edit_distance(key, spec.key);
    if (distance < best_distance) {
      best_distance = distance;
      best = spec.key;
    }
  }
  return best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", best);
}

// Reads one value; on failure returns what was expected.
class ValueReader {
 public:
  ValueReader(const OptionSpec& spec, OptionValues& values) : spec_(spec), values_(values) {}

  std::string read(const toml::node& node) {
    switch (spec_.type) {
      case OptionType::boolean:
        return boolean(node);
      case OptionType::integer:
        return integer(node);
      case OptionType::duration_ms:
        return scaled(node, parse_duration_ms, "a duration such as \"1m30s\"");
      case OptionType::bytes:
        return scaled(node, parse_bytes, "a size such as \"64KiB\"");
      case OptionType::text:
        return text(node);
      case OptionType::secret:
        return secret(node);
      case OptionType::text_list:
        return text_list(node);
      case OptionType::choice:
        return choice(node);
      case OptionType::json:
        return json(node);
    }
    return "unknown option type";
  }

 private:
  std::string boolean(const toml::node& node) {
    const auto value = node.value_exact<bool>();
    if (!value) return "expected true or false";
    values_.set_number(spec_.key, *value ? 1 : 0);
    return {};
  }

  std::string number(std::int64_t value) {
    if (value < spec_.min || value > spec_.max) {
      return fmt::format("must be between {} and {}", bound(spec_.min), bound(spec_.max));
    }
    values_.set_number(spec_.key, value);
    return {};
  }

  [[nodiscard]] std::string bound(std::int64_t value) const {
    if (spec_.type == OptionType::bytes) return format_bytes(value);
    if (spec_.type == OptionType::duration_ms) return format_duration_ms(value);
    return std::to_string(value);
  }

  std::string integer(const toml::node& node) {
    const auto value = node.value_exact<std::int64_t>();
    return value ? number(*value) : "expected an integer";
  }

  template <class Parse>
  std::string scaled(const toml::node& node, Parse parse, std::string_view expected) {
    if (const auto value = node.value_exact<std::int64_t>()) return number(*value);
    if (const auto written = node.value_exact<std::string>()) {
      if (const auto value = parse(*written)) return number(*value);
    }
    return fmt::format("expected {}", expected);
  }

  std::string sized(std::string value) {
    const auto size = static_cast<std::int64_t>(value.size());
    if (spec_.max != INT64_MAX && size > spec_.max) {
      return fmt::format("is longer than {} bytes", spec_.max);
    }
    if (size < spec_.min) {
      return spec_.min == 1 ? "must not be empty" : fmt::format("needs {} bytes", spec_.min);
    }
    if (value.find('\0') != std::string::npos) return "must not contain a NUL";
    values_.set_text(spec_.key, std::move(value));
    return {};
  }

  std::string text(const toml::node& node) {
    auto value = node.value_exact<std::string>();
    return value ? sized(std::move(*value)) : "expected a text";
  }

  // A secret may stand in the file, or better in another file or the environment.
  std::string secret(const toml::node& node) {
    if (auto value = node.value_exact<std::string>()) return sized(std::move(*value));
    const toml::table* table = node.as_table();
    if (table == nullptr || table->size() != 1) {
      return "expected a text, { file = \"...\" } or { env = \"...\" }";
    }
    if (const auto name = (*table)["env"].value_exact<std::string>()) {
      const char* value = std::getenv(name->c_str());
      return value != nullptr ? sized(value)
                              : fmt::format("environment variable {} is not set", *name);
    }
    if (const auto path = (*table)["file"].value_exact<std::string>()) {
      auto value = read_file(*path, secret_file_size_max);
      if (!value) return fmt::format("the file \"{}\" {}", *path, value.error());
      while (!value->empty() && (value->back() == '\n' || value->back() == '\r')) value->pop_back();
      return sized(std::move(*value));
    }
    return "expected a text, { file = \"...\" } or { env = \"...\" }";
  }

  std::string text_list(const toml::node& node) {
    std::vector<std::string> items;
    if (auto one = node.value_exact<std::string>()) {
      items.push_back(std::move(*one));
    } else if (const toml::array* array = node.as_array()) {
      for (const toml::node& item : *array) {
        auto value = item.value_exact<std::string>();
        if (!value) return "expected an array of texts";
        items.push_back(std::move(*value));
      }
    } else {
      return "expected an array of texts";
    }
    const auto count = static_cast<std::int64_t>(items.size());
    if (count < spec_.min) return fmt::format("needs at least {}", spec_.min);
    if (count > spec_.max) return fmt::format("has more than {} entries", spec_.max);
    for (const std::string& item : items) {
      if (item.find('\0') != std::string::npos) return "must not contain a NUL";
    }
    values_.set_list(spec_.key, std::move(items));
    return {};
  }

  std::string choice(const toml::node& node) {
    const auto value = node.value_exact<std::string>();
    std::string_view rest = spec_.choices;
    while (value && !rest.empty()) {
      const std::size_t bar = std::min(rest.find('|'), rest.size());
      if (rest.substr(0, bar) == *value) {
        values_.set_text(spec_.key, *value);
        return {};
      }
      rest.remove_prefix(std::min(bar + 1, rest.size()));
    }
    return fmt::format("expected one of {}", spec_.choices);
  }

  std::string json(const toml::node& node) {
    if (auto value = node.value_exact<std::string>()) return sized(std::move(*value));
    return sized(to_json(node));
  }

  const OptionSpec& spec_;
  OptionValues& values_;
};

bool is_numeric(OptionType type) {
  return type == OptionType::integer || type == OptionType::duration_ms ||
         type == OptionType::bytes;
}

void append_json(std::string& out, const toml::node& node) {
  if (const toml::table* table = node.as_table()) {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : *table) {
      if (!first) out += ',';
      first = false;
      json::append_string(out, key.str());
      out += ':';
      append_json(out, value);
    }
    out += '}';
  } else if (const toml::array* array = node.as_array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ',';
      append_json(out, (*array)[i]);
    }
    out += ']';
  } else if (const auto text = node.value_exact<std::string>()) {
    json::append_string(out, *text);
  } else if (const auto integer = node.value_exact<std::int64_t>()) {
    out += std::to_string(*integer);
  } else if (const auto number = node.value_exact<double>()) {
    out += fmt::format("{}", *number);
  } else if (const auto flag = node.value_exact<bool>()) {
    out += *flag ? "true" : "false";
  } else {
    std::ostringstream other;  // Dates and times have no JSON form: their text.
    node.visit([&](const auto& n) {
      if constexpr (toml::is_date<decltype(n)> || toml::is_time<decltype(n)> ||
                    toml::is_date_time<decltype(n)>) {
        other << *n;
      }
    });
    json::append_string(out, other.str());
  }
}

}  // namespace

// Fallbacks are written as TOML would write them without quotes; the same reader checks them.
std::string apply_fallback(const OptionSpec& spec, OptionValues& values) {
  if (spec.fallback.empty()) {
    values.set_number(spec.key, 0);
    values.set_text(spec.key, {});
    return {};
  }
  ValueReader reader(spec, values);
  const std::string written(spec.fallback);
  if (spec.type == OptionType::boolean) {
    if (written != "true" && written != "false") return "expected true or false";
    return reader.read(toml::value<bool>(written == "true"));
  }
  if (is_numeric(spec.type) && written.find_first_not_of("0123456789") == std::string::npos) {
    return reader.read(toml::value<std::int64_t>(std::stoll(written)));
  }
  return reader.read(toml::value<std::string>(written));
}

std::string to_json(const toml::node& node) {
  std::string out;
  append_json(out, node);
  return out;
}

std::string to_string(const Diagnostic& d) {
  std::string text = d.file;
  if (d.line > 0) text += fmt::format(":{}", d.line);
  if (!d.key.empty()) text += fmt::format(": {}", d.key);
  return text + ": " + d.message;
}

void report_unknown_keys(const toml::table& table,
                         std::initializer_list<std::span<const OptionSpec>> tables,
                         const std::string& path, const ParseContext& context) {
  std::vector<OptionSpec> known;
  for (const auto specs : tables) known.insert(known.end(), specs.begin(), specs.end());
  for (const auto& [key, node] : table) {
    if (std::ranges::find(known, key.str(), &OptionSpec::key) != known.end()) continue;
    context.report(line_of(node), join(path, key.str()),
                   "is not an option" + suggestion(key.str(), known));
  }
}

OptionValues parse_options(const toml::table* table, std::span<const OptionSpec> specs,
                           const std::string& path, const ParseContext& context) {
  OptionValues values;
  for (const OptionSpec& spec : specs) {
    const toml::node* node = table != nullptr ? table->get(spec.key) : nullptr;
    // A value that is refused leaves the fallback behind, so that later checks see no nonsense.
    [[maybe_unused]] const std::string unfit = apply_fallback(spec, values);
    assert(unfit.empty());
    if (node == nullptr) {
      if (spec.required) {
        context.report(table != nullptr ? line_of(*table) : 0, join(path, spec.key), "is missing");
      }
      continue;
    }
    const std::string problem = ValueReader(spec, values).read(*node);
    if (!problem.empty()) context.report(line_of(*node), join(path, spec.key), problem);
  }
  return values;
}

}  // namespace tocsin::config
