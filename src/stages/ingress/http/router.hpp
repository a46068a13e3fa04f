#pragma once
// What the HTTP listener serves besides ingest: health, metrics, the API, plugged in by the app.

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/http/request_parser.hpp"

namespace tocsin::ingress {

using HttpRequest = http::Request;

/// One answer. Strings keep their capacity between requests.
struct HttpReply {
  std::uint16_t status = 200;
  std::string content_type;
  std::string body;
  std::string allow;  ///< For 405: the methods that the path knows, e.g. "GET, HEAD".

  void reset() {
    status = 200;
    content_type.assign("text/plain; charset=utf-8");
    body.clear();
    allow.clear();
  }
};

class HttpRouter {
 public:
  /// Answers a request, or returns false when the path is unknown (404). Treats HEAD as GET: the
  /// server leaves the body out. A status of 400 or more with an empty body becomes a problem
  /// document. On the reactor's thread: must neither block nor keep views of the request.
  virtual bool handle(const HttpRequest& request, HttpReply& reply) noexcept = 0;

 protected:
  ~HttpRouter() = default;
};

}  // namespace tocsin::ingress
