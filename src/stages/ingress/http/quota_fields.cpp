#include "stages/ingress/http/quota_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>

namespace tocsin::ingress {
namespace {

std::int64_t ceil_seconds(Duration time) noexcept {
  return std::chrono::ceil<std::chrono::seconds>(time).count();
}

}  // namespace

std::int64_t retry_seconds(Duration wait) noexcept {
  return std::max<std::int64_t>(ceil_seconds(wait), 1);
}

void append_quota_fields(std::string& out, Duration wait, const flow::ClientQuotas& quotas) {
  const auto at = std::back_inserter(out);
  fmt::format_to(at, "Retry-After: {}\r\n", retry_seconds(wait));
  if (quotas.count == 0) return;
  const auto states = std::span(quotas.states).first(quotas.count);
  std::string_view before = "RateLimit-Policy: ";
  for (const flow::QuotaState& state : states) {
    fmt::format_to(at, "{}\"{}\";q={};w={}", before, state.name, state.burst,
                   std::max<std::int64_t>(ceil_seconds(state.window), 1));
    before = ", ";
  }
  before = "\r\nRateLimit: ";
  for (const flow::QuotaState& state : states) {
    fmt::format_to(at, "{}\"{}\";r={};t={}", before, state.name, state.left,
                   ceil_seconds(state.wait));
    before = ", ";
  }
  out += "\r\n";
}

}  // namespace tocsin::ingress
