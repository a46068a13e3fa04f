#include "protocol/http/response_parser.hpp"

#include <algorithm>
#include <cassert>

namespace tocsin::http {

ResponseParser::ResponseParser(const Limits& limits, ByteBudget* budget) noexcept
    : limits_(limits), head_(HeadKind::response, limits.head_size_max, budget), body_(budget) {}

void ResponseParser::start(bool to_head) noexcept {
  head_.reset();
  body_.reset();
  interims_ = 0;
  to_head_ = to_head;
  state_ = State::head;
  error_ = ParseError::none;
  response_ = {};
}

ResponseParser::Fed ResponseParser::feed(std::string_view bytes) noexcept {
  std::size_t consumed = 0;
  while (state_ == State::head && consumed < bytes.size()) {
    consumed += feed_head(bytes.substr(consumed));
  }
  if (state_ == State::length || state_ == State::until_close) {
    consumed += feed_body(bytes.substr(consumed));
  } else if (state_ == State::chunked) {
    consumed += feed_chunked(bytes.substr(consumed));
  }
  if (state_ == State::length || state_ == State::chunked || state_ == State::until_close) {
    if (!head_.keep() || !body_.keep()) fail(ParseError::memory);
  }
  if (state_ == State::complete) return {.consumed = consumed, .status = ParseStatus::complete};
  return {.consumed = consumed,
          .status = state_ == State::failed ? ParseStatus::failed : ParseStatus::more};
}

std::size_t ResponseParser::feed_head(std::string_view bytes) noexcept {
  const HeadReader::Step step = head_.feed(bytes);
  if (step.error != ParseError::none) {
    fail(step.error);
  } else if (step.complete) {
    begin_body();
  }
  return step.consumed;
}

void ResponseParser::fail(ParseError error) noexcept {
  assert(error != ParseError::none);
  state_ = State::failed;
  error_ = error;
}

// RFC 9112 section 6.3.
void ResponseParser::begin_body() noexcept {
  const HeadInfo& info = head_.info();
  if (info.status < 100 || info.status > 599) return fail(ParseError::syntax);
  if (info.status < 200) {
    if (info.status == 101 || ++interims_ > interim_max) return fail(ParseError::interim);
    head_.reset();
    return;
  }
  response_.status = info.status;
  response_.keep_alive = info.keep_alive;
  if (to_head_ || info.status == 204 || info.status == 304) return complete();
  if (info.chunked) {
    chunks_.start(ChunkedDecoder::data_unlimited, limits_.chunk_extra_max);
    state_ = State::chunked;
  } else if (info.has_length) {
    body_left_ = info.length;
    state_ = State::length;
    if (body_left_ == 0) complete();
  } else {
    response_.keep_alive = false;
    state_ = State::until_close;
  }
}

// What goes over the cap is not read: the response is complete, its connection is not reusable.
void ResponseParser::add(std::string_view piece) noexcept {
  const std::size_t room = limits_.body_size_max - body_.size();
  if (!body_.add(piece.substr(0, room))) return fail(ParseError::memory);
  if (piece.size() > room) {
    response_.body_cut = true;
    response_.keep_alive = false;
    complete();
  }
}

std::size_t ResponseParser::feed_body(std::string_view bytes) noexcept {
  if (state_ == State::until_close) {
    add(bytes);
    return bytes.size();
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
  body_left_ -= size;
  add(bytes.substr(0, size));
  if (state_ == State::length && body_left_ == 0) complete();
  return size;
}

std::size_t ResponseParser::feed_chunked(std::string_view bytes) noexcept {
  std::size_t consumed = 0;
  while (state_ == State::chunked) {
    const ChunkedDecoder::Step step = chunks_.feed(bytes.substr(consumed));
    consumed += step.consumed;
    if (step.status == ChunkedDecoder::Status::more) break;
    if (step.status == ChunkedDecoder::Status::data) {
      add(step.data);
    } else if (step.status == ChunkedDecoder::Status::done) {
      complete();
    } else {
      fail(ParseError::chunk);
    }
  }
  return consumed;
}

void ResponseParser::complete() noexcept {
  state_ = State::complete;
  response_.headers = &head_.headers();
  response_.body = body_.view();
}

ParseStatus ResponseParser::finish() noexcept {
  if (state_ == State::complete) return ParseStatus::complete;
  if (state_ == State::until_close) {
    complete();
    return ParseStatus::complete;
  }
  if (state_ != State::failed) fail(ParseError::truncated);
  return ParseStatus::failed;
}

}  // namespace tocsin::http
