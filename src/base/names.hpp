#pragma once
// The words for priorities and severities: one list for configuration, templates and messages.

#include <array>
#include <cstddef>
#include <string_view>

#include <tocsin/event.hpp>

namespace tocsin {

/// Indexed by the enumerator's value.
inline constexpr std::array<std::string_view, 4> priority_names{"low", "normal", "high", "urgent"};
inline constexpr std::array<std::string_view, 4> severity_names{"info", "warning", "error",
                                                                "critical"};

/// "unknown" for a value that is no enumerator: a record read back from a disk can hold any byte.
[[nodiscard]] constexpr std::string_view name_of(Priority priority) noexcept {
  const auto index = static_cast<std::size_t>(priority);
  return index < priority_names.size() ? priority_names[index] : "unknown";
}
[[nodiscard]] constexpr std::string_view name_of(Severity severity) noexcept {
  const auto index = static_cast<std::size_t>(severity);
  return index < severity_names.size() ? severity_names[index] : "unknown";
}

}  // namespace tocsin
