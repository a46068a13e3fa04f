#include "control/api/status_router.hpp"

#include <algorithm>

#include "control/metrics/exposition.hpp"
#include "protocol/json/text.hpp"

namespace tocsin::api {
namespace {

void write_readiness(const std::vector<ComponentState>& components, ingress::HttpReply& reply) {
  const bool ready = std::ranges::all_of(
      components, [](const ComponentState& c) { return c.ready || !c.required; });
  reply.status = ready ? 200 : 503;
  reply.content_type = "application/json";
  reply.body =
      ready ? R"({"status":"ready","components":{)" : R"({"status":"not ready","components":{)";
  for (std::size_t i = 0; i < components.size(); ++i) {
    if (i > 0) reply.body += ',';
    json::append_string(reply.body, components[i].name);
    reply.body +=
        components[i].ready ? R"(:{"ready":true,"detail":)" : R"(:{"ready":false,"detail":)";
    json::append_string(reply.body, components[i].detail);
    reply.body += '}';
  }
  reply.body += "}}\n";
}

}  // namespace

bool StatusRouter::handle(const ingress::HttpRequest& request, ingress::HttpReply& reply) noexcept {
  const bool health = request.path == "/healthz";
  const bool readiness = request.path == "/readyz";
  const bool metrics = request.path == "/metrics";
  if (!health && !readiness && !metrics) return false;
  if (request.method != http::Method::get && request.method != http::Method::head) {
    reply.status = 405;
    reply.allow = "GET, HEAD";
    return true;
  }
  if (health) {
    reply.body = "ok\n";
  } else if (readiness) {
    write_readiness(sources_.readiness(), reply);
  } else {
    reply.content_type = metrics::exposition_content_type;
    reply.body = sources_.metrics();
  }
  return true;
}

}  // namespace tocsin::api
