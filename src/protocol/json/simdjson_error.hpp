#pragma once
// Private to this folder: simdjson's error codes in our terms.

#include <simdjson.h>

#include "protocol/json/error.hpp"

namespace tocsin::json {

/// `error`: of stage 1, not SUCCESS.
[[nodiscard]] JsonError from_simdjson(simdjson::error_code error) noexcept;

}  // namespace tocsin::json
