#pragma once
// What the HTTP listener answers besides ingest: /healthz, /readyz, /metrics.

#include <functional>
#include <string>
#include <vector>

#include "stages/ingress/http/router.hpp"

namespace tocsin::api {

/// One component's readiness, as /readyz shows it.
struct ComponentState {
  std::string name;
  bool ready = false;
  std::string detail;
  bool required = true;  ///< False: shown, but the process takes events without it.
};

struct StatusSources {
  std::function<std::string()> metrics;  ///< Prometheus text.
  std::function<std::vector<ComponentState>()> readiness;
};

/// Shared by all reactors; its sources may be called on any of their threads.
class StatusRouter final : public ingress::HttpRouter {
 public:
  explicit StatusRouter(StatusSources sources) : sources_(std::move(sources)) {}
  bool handle(const ingress::HttpRequest& request, ingress::HttpReply& reply) noexcept override;

 private:
  StatusSources sources_;
};

}  // namespace tocsin::api
