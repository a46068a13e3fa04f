#pragma once
// What becomes of a damaged database: it is kept for people, and never blocks the start.

#include <cstdint>
#include <string>

#include <tocsin/result.hpp>

namespace tocsin::store {

/// Copies of damaged files that are kept; beyond, the oldest is deleted.
inline constexpr std::size_t damaged_kept = 3;

/// Renames the database and its log to "<path>.damaged-<time_s>"; the new name. The error is for
/// people. Closed before. Blocking.
[[nodiscard]] Result<std::string, std::string> set_aside(const std::string& path,
                                                         std::int64_t wall_time_s);

}  // namespace tocsin::store
