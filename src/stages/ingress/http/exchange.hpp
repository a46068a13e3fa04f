#pragma once
// What a connection needs only while it has something under way: so that thousands of idle ones
// cost next to nothing, and busy ones use memory that is still warm.

#include <cstddef>
#include <memory>
#include <vector>

#include "base/byte_buffer.hpp"
#include "protocol/http/request_parser.hpp"
#include "stages/ingress/http/options.hpp"
#include "stages/ingress/http/response_queue.hpp"

namespace tocsin::ingress {

struct HttpExchange {
  HttpExchange(const HttpOptions& options, ByteBudget& budget);

  /// No request has begun, and no byte waits in either direction.
  [[nodiscard]] bool empty() const noexcept {
    return queue.empty() && sending.empty() && backlog.empty() && parser.idle();
  }
  /// Gives back buffers that grew.
  void trim() noexcept;
  /// Forgets everything and gives all memory back.
  void release() noexcept;

  http::RequestParser parser;
  ByteBuffer backlog;  ///< Bytes that arrived while nothing may be processed.
  ResponseQueue queue;
  ByteBuffer sending;
};

/// Those of one reactor that are not in use.
class ExchangePool {
 public:
  ExchangePool(const HttpOptions& options, ByteBudget& budget) noexcept
      : options_(options), budget_(budget) {}

  [[nodiscard]] std::unique_ptr<HttpExchange> take();
  /// `exchange` is empty.
  void give_back(std::unique_ptr<HttpExchange> exchange) noexcept;
  void clear() noexcept { free_.clear(); }

 private:
  const HttpOptions& options_;
  ByteBudget& budget_;
  std::vector<std::unique_ptr<HttpExchange>> free_;
};

}  // namespace tocsin::ingress
