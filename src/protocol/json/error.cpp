#include "protocol/json/error.hpp"

#include "protocol/json/simdjson_error.hpp"

namespace tocsin::json {

std::string_view to_string(JsonError error) noexcept {
  switch (error) {
    case JsonError::empty:
      return "empty";
    case JsonError::syntax:
      return "syntax";
    case JsonError::utf8:
      return "utf8";
    case JsonError::depth:
      return "depth";
    case JsonError::number:
      return "number";
    case JsonError::too_large:
      return "too_large";
  }
  return "unknown";
}

JsonError from_simdjson(simdjson::error_code error) noexcept {
  switch (error) {
    case simdjson::EMPTY:
      return JsonError::empty;
    case simdjson::UTF8_ERROR:
      return JsonError::utf8;
    case simdjson::CAPACITY:
      return JsonError::too_large;
    default:
      return JsonError::syntax;
  }
}

}  // namespace tocsin::json
