#pragma once
// The tables of tocsin.db, as steps from each version to the next. A step that was released never
// changes.

#include <span>
#include <string_view>

#include "store/database.hpp"

namespace tocsin::store {

/// Step i leads from version i to i + 1; the newest version is their number.
[[nodiscard]] std::span<const char* const> schema_steps() noexcept;

/// Brings the database to the newest version, each step in a transaction of its own. Fault
/// `version` when it is newer than that, `damaged` when its version cannot be true.
[[nodiscard]] DbResult<void> migrate(Database& database,
                                     std::span<const char* const> steps = schema_steps()) noexcept;

}  // namespace tocsin::store
