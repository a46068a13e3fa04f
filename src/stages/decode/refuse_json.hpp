#pragma once
// Refusals for what the JSON parser says.

#include "protocol/json/error.hpp"
#include "stages/decode/event_draft.hpp"

namespace tocsin::decode {

[[nodiscard]] inline Unexpected<flow::Rejection> refuse_json(json::JsonError error) noexcept {
  switch (error) {
    case json::JsonError::empty:
      return refuse(flow::Refusal::empty, "there is no payload");
    case json::JsonError::utf8:
      return refuse(flow::Refusal::json_utf8, "the payload is not UTF-8");
    case json::JsonError::depth:
      return refuse(flow::Refusal::json_depth, "the payload is nested too deeply");
    case json::JsonError::number:
      return refuse(flow::Refusal::json_number, "a number is out of range");
    case json::JsonError::too_large:
      return refuse(flow::Refusal::too_large, "the payload is too large");
    case json::JsonError::syntax:
      break;
  }
  return refuse(flow::Refusal::json_syntax, "the payload is not valid JSON");
}

}  // namespace tocsin::decode
