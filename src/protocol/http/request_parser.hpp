#pragma once
// The server's side of HTTP/1.1: one request at a time out of a stream of bytes. Sans I/O.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/http/body.hpp"
#include "protocol/http/head.hpp"

namespace tocsin::http {

enum class Method : std::uint8_t { get, head, post, put, del, patch, options, other };

/// A complete request. Its views are valid until the parser is fed again and, unless the parser
/// was told to keep(), only as long as the bytes last fed to it. At least json_padding readable
/// bytes follow the body if they follow the bytes that were fed.
struct Request {
  Method method = Method::other;
  std::string_view target;
  std::string_view path;   ///< As sent, not percent-decoded.
  std::string_view query;  ///< Without '?'.
  /// Host and port: of an absolute-form target, else the Host field. Empty in HTTP/1.0 without one.
  std::string_view authority;
  std::string_view body;
  bool http11 = true;
  bool keep_alive = true;            ///< RFC 9112 section 9.3.
  bool unknown_expectation = false;  ///< Expect asks for anything but "100-continue".
  const Headers* headers = nullptr;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
    return headers == nullptr ? std::nullopt : headers->find(name);
  }
  [[nodiscard]] std::optional<std::string_view> header(Field field) const noexcept {
    return headers == nullptr ? std::nullopt : headers->find(field);
  }
};

enum class ParseStatus : std::uint8_t { more, complete, failed };

class RequestParser {
 public:
  /// `budget` (may be null) is charged for what has to be copied because it came in pieces.
  RequestParser(const Limits& limits, ByteBudget* budget) noexcept;
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  struct Fed {
    std::size_t consumed = 0;
    ParseStatus status = ParseStatus::more;
  };
  /// Takes bytes up to the end of one request. After `complete` the next call begins the next
  /// request; after `failed` the parser stays failed: answer, then close.
  [[nodiscard]] Fed feed(std::string_view bytes) noexcept;

  [[nodiscard]] const Request& request() const noexcept { return request_; }
  /// The request so far, without its body: while in_body(), and until the next feed().
  [[nodiscard]] const Request& head() noexcept;
  [[nodiscard]] ParseError error() const noexcept { return error_; }
  /// Makes a complete request independent of the bytes it was parsed from. False: budget used up.
  [[nodiscard]] bool keep() noexcept;
  /// Nothing of a further request has arrived.
  [[nodiscard]] bool idle() const noexcept;
  [[nodiscard]] bool in_body() const noexcept;
  /// The client waits for "100 Continue" before it sends the body (RFC 9110 section 10.1.1).
  [[nodiscard]] bool awaits_continue() const noexcept;
  /// Gives memory back and forgets everything: between requests, or for a new connection.
  void release() noexcept;
  /// Bytes of memory held.
  [[nodiscard]] std::size_t capacity() const noexcept;

 private:
  enum class State : std::uint8_t { head, body, chunked, complete, failed };
  [[nodiscard]] std::size_t feed_body(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t feed_chunked(std::string_view bytes) noexcept;
  [[nodiscard]] ParseError begin_body() noexcept;
  [[nodiscard]] ParseError check_host() const noexcept;
  void read_expect() noexcept;
  [[nodiscard]] ParseError split_target() noexcept;
  void fail(ParseError error) noexcept;
  void fill_request() noexcept;

  Limits limits_;
  HeadReader head_;
  BodyCollector body_;
  ChunkedDecoder chunks_;
  std::uint64_t body_left_ = 0;
  bool expects_continue_ = false;
  bool unknown_expectation_ = false;
  State state_ = State::head;
  ParseError error_ = ParseError::none;
  Request request_;
};

}  // namespace tocsin::http
