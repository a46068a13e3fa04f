#pragma once
// Problem details for HTTP APIs (RFC 9457).

#include <cstdint>
#include <string>
#include <string_view>

#include "flow/intake.hpp"

namespace tocsin::ingress {

inline constexpr std::string_view problem_media_type = "application/problem+json";

/// All views are static text.
struct Problem {
  std::uint16_t status = 400;
  std::string_view name;  ///< Ends the `type` URN; a closed set.
  std::string_view title{};
  std::string_view detail{};
  std::string_view pointer{};  ///< JSON pointer of the culprit, or empty.
  Duration retry_after{0};     ///< With 429: shown as "retry_after", in whole seconds.
};

inline constexpr Problem not_allowed{
    .status = 405, .name = "method", .title = "Method not allowed"};

/// What a refused event looks like to its sender. `entries` is 400; whoever sees that the body was
/// an array, so that there were too many entries, makes it 413.
[[nodiscard]] Problem problem_of(const flow::Rejection& rejection) noexcept;

/// Appends the problem as one line of JSON.
void append_problem(std::string& out, const Problem& problem);

}  // namespace tocsin::ingress
