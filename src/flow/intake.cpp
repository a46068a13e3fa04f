#include "flow/intake.hpp"

namespace tocsin::flow {

std::string_view to_string(Refusal refusal) noexcept {
  switch (refusal) {
    case Refusal::capacity:
      return "capacity";
    case Refusal::shutting_down:
      return "shutting_down";
    case Refusal::unknown_source:
      return "unknown_source";
    case Refusal::inactive_source:
      return "inactive_source";
    case Refusal::too_large:
      return "too_large";
    case Refusal::empty:
      return "empty";
    case Refusal::json_syntax:
      return "json_syntax";
    case Refusal::json_utf8:
      return "json_utf8";
    case Refusal::json_depth:
      return "json_depth";
    case Refusal::json_number:
      return "json_number";
    case Refusal::envelope:
      return "envelope";
    case Refusal::attribute_size:
      return "attribute_size";
    case Refusal::content_type:
      return "content_type";
    case Refusal::entries:
      return "entries";
    case Refusal::topic:
      return "topic";
    case Refusal::quota:
      return "quota";
    case Refusal::access:
      return "access";
    case Refusal::commit_failed:
      return "commit_failed";
  }
  return "unknown";
}

}  // namespace tocsin::flow
