#pragma once
// The paths that the listener itself serves.

#include <string_view>

#include "stages/ingress/http/metrics.hpp"

namespace tocsin::ingress {

[[nodiscard]] constexpr HttpRoute route_of(std::string_view path) noexcept {
  constexpr std::string_view single = "/api/events";
  if (!path.starts_with(single)) return HttpRoute::other;
  if (path.size() == single.size()) return HttpRoute::events;
  return path.substr(single.size()) == "/batch" ? HttpRoute::events_batch : HttpRoute::other;
}

}  // namespace tocsin::ingress
