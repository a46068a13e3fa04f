#pragma once
// The client's side of HTTP/1.1: one response at a time out of a stream of bytes. Sans I/O.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/http/body.hpp"
#include "protocol/http/head.hpp"
#include "protocol/http/request_parser.hpp"

namespace tocsin::http {

/// A complete response. Views as for Request.
struct Response {
  std::uint16_t status = 0;
  std::string_view body;
  bool body_cut = false;    ///< The body was longer than body_size_max; `body` is its beginning.
  bool keep_alive = false;  ///< The connection may carry another request.
  const Headers* headers = nullptr;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
    return headers == nullptr ? std::nullopt : headers->find(name);
  }
};

class ResponseParser {
 public:
  static constexpr std::uint32_t interim_max = 8;

  ResponseParser(const Limits& limits, ByteBudget* budget) noexcept;
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  /// Expects the response to a request. `to_head`: it was HEAD, so no body follows.
  void start(bool to_head) noexcept;
  using Fed = RequestParser::Fed;
  /// Takes bytes up to the end of the response; 1xx responses are skipped. Bytes left over after
  /// `complete` mean that the peer sent what nobody asked for: do not reuse the connection.
  [[nodiscard]] Fed feed(std::string_view bytes) noexcept;
  /// The peer closed: completes a body that ends with the connection, else fails with `truncated`.
  [[nodiscard]] ParseStatus finish() noexcept;

  [[nodiscard]] const Response& response() const noexcept { return response_; }
  [[nodiscard]] ParseError error() const noexcept { return error_; }
  /// Nothing has arrived since start(): a request on a stale connection may be repeated.
  [[nodiscard]] bool idle() const noexcept {
    return state_ == State::head && !head_.started() && interims_ == 0;
  }

 private:
  enum class State : std::uint8_t { head, length, chunked, until_close, complete, failed };
  [[nodiscard]] std::size_t feed_head(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t feed_body(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t feed_chunked(std::string_view bytes) noexcept;
  void begin_body() noexcept;
  void add(std::string_view piece) noexcept;
  void fail(ParseError error) noexcept;
  void complete() noexcept;

  Limits limits_;
  HeadReader head_;
  BodyCollector body_;
  ChunkedDecoder chunks_;
  std::uint64_t body_left_ = 0;
  std::uint32_t interims_ = 0;
  bool to_head_ = false;
  State state_ = State::head;
  ParseError error_ = ParseError::none;
  Response response_;
};

}  // namespace tocsin::http
