#pragma once
// Private to this folder: simdjson's error codes in our terms.

#include <simdjson.h>

#include "protocol/json/error.hpp"

namespace tocsin::json {

/// `error` is not SUCCESS. simdjson has one code for malformed and for too large numbers; it
/// becomes `number` here, and Validator looks closer.
[[nodiscard]] JsonError from_simdjson(simdjson::error_code error) noexcept;

}  // namespace tocsin::json
