#include "stages/ingress/http/problem.hpp"

#include <fmt/format.h>

#include <iterator>

#include "protocol/json/text.hpp"
#include "stages/ingress/http/quota_fields.hpp"

namespace tocsin::ingress {
namespace {

struct Kind {
  std::uint16_t status;
  std::string_view title;
};

Kind kind_of(flow::Refusal reason) noexcept {
  using flow::Refusal;
  switch (reason) {
    case Refusal::capacity:
      return {503, "Out of capacity; try again"};
    case Refusal::shutting_down:
      return {503, "Shutting down"};
    case Refusal::unknown_source:
      return {422, "Unknown event source"};
    case Refusal::inactive_source:
      return {422, "Inactive event source"};
    case Refusal::too_large:
      return {413, "Event too large"};
    case Refusal::empty:
      return {400, "Empty body"};
    case Refusal::json_syntax:
      return {400, "Malformed JSON"};
    case Refusal::json_utf8:
      return {400, "Malformed UTF-8"};
    case Refusal::json_depth:
      return {400, "JSON nested too deeply"};
    case Refusal::json_number:
      return {400, "Number out of range"};
    case Refusal::envelope:
      return {422, "Malformed event"};
    case Refusal::attribute_size:
      return {422, "Attribute too large"};
    case Refusal::content_type:
      return {415, "Unsupported content type"};
    case Refusal::entries:
      return {400, "Malformed batch"};
    case Refusal::topic:
      return {400, "Invalid topic"};
    case Refusal::quota:
      return {429, "Too many events"};
    case Refusal::access:
      return {403, "Not allowed"};
    case Refusal::commit_failed:
      return {503, "Event not stored"};
  }
  return {500, "Internal error"};
}

}  // namespace

Problem problem_of(const flow::Rejection& rejection) noexcept {
  const Kind kind = kind_of(rejection.reason);
  return {.status = kind.status,
          .name = to_string(rejection.reason),
          .title = kind.title,
          .detail = rejection.detail,
          .pointer = rejection.pointer,
          .retry_after = rejection.retry_after};
}

void append_problem(std::string& out, const Problem& problem) {
  fmt::format_to(std::back_inserter(out),
                 "{{\"type\":\"urn:tocsin:problem:{}\",\"title\":", problem.name);
  json::append_string(out, problem.title);
  fmt::format_to(std::back_inserter(out), ",\"status\":{}", problem.status);
  if (!problem.detail.empty()) {
    out += ",\"detail\":";
    json::append_string(out, problem.detail);
  }
  if (problem.retry_after > Duration{0}) {
    fmt::format_to(std::back_inserter(out), ",\"retry_after\":{}",
                   retry_seconds(problem.retry_after));
  }
  if (!problem.pointer.empty()) {
    out += ",\"errors\":[{\"pointer\":";
    json::append_string(out, problem.pointer);
    out += ",\"detail\":";
    json::append_string(out, problem.detail.empty() ? problem.title : problem.detail);
    out += "}]";
  }
  out += '}';
}

}  // namespace tocsin::ingress
