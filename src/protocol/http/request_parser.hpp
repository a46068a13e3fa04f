#pragma once
// The server's side of HTTP/1.1: one request at a time out of a stream of bytes. Sans I/O.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/http/body.hpp"
#include "protocol/http/head.hpp"
#include "protocol/http/known_heads.hpp"
#include "protocol/http/request.hpp"

namespace tocsin::http {

enum class ParseStatus : std::uint8_t { more, complete, failed };

class RequestParser {
 public:
  /// `budget` (may be null) is charged for what has to be copied because it came in pieces.
  RequestParser(const Limits& limits, ByteBudget* budget) noexcept;
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Recognizes heads from now on: `heads` of this thread, those in `recent` of this connection.
  /// Both outlive the parser, or are replaced before it is fed again.
  void recognize(KnownHeads& heads, RecentHeads& recent) noexcept {
    heads_ = &heads;
    recent_ = &recent;
  }

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
  [[nodiscard]] std::size_t feed_head(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t feed_body(std::string_view bytes) noexcept;
  [[nodiscard]] std::size_t feed_chunked(std::string_view bytes) noexcept;
  [[nodiscard]] ParseError read_head() noexcept;
  [[nodiscard]] ParseError begin_body(const HeadInfo& info) noexcept;
  [[nodiscard]] bool keep_head() noexcept;
  [[nodiscard]] ParseError check_host() const noexcept;
  void read_expect() noexcept;
  [[nodiscard]] ParseError split_target() noexcept;
  void fail(ParseError error) noexcept;
  void fill_request() noexcept;

  Limits limits_;
  HeadReader head_;
  KnownHeads* heads_ = nullptr;
  RecentHeads* recent_ = nullptr;
  const KnownHead* known_ = nullptr;  // Stands for head_: nothing was read.
  BodyCollector body_;
  ChunkedDecoder chunks_;
  std::uint64_t body_left_ = 0;
  bool expects_continue_ = false;
  State state_ = State::head;
  ParseError error_ = ParseError::none;
  Request request_;
};

}  // namespace tocsin::http
