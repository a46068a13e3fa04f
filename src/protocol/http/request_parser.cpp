#include "protocol/http/request_parser.hpp"

#include <llhttp.h>

#include <algorithm>
#include <cassert>

#include "base/ascii.hpp"

namespace tocsin::http {
namespace {

Method method_of(std::uint8_t number) noexcept {
  switch (number) {
    case HTTP_GET:
      return Method::get;
    case HTTP_HEAD:
      return Method::head;
    case HTTP_POST:
      return Method::post;
    case HTTP_PUT:
      return Method::put;
    case HTTP_DELETE:
      return Method::del;
    case HTTP_PATCH:
      return Method::patch;
    case HTTP_OPTIONS:
      return Method::options;
    default:
      return Method::other;
  }
}

// What no host and port contains, and would end or split it for somebody.
constexpr bool ends_host(char c) noexcept {
  return c == ' ' || c == '\t' || c == ',' || c == '/' || c == '@' || c == '?' || c == '#';
}

}  // namespace

RequestParser::RequestParser(const Limits& limits, ByteBudget* budget) noexcept
    : limits_(limits), head_(HeadKind::request, limits.head_size_max, budget), body_(budget) {}

RequestParser::Fed RequestParser::feed(std::string_view bytes) noexcept {
  if (state_ == State::failed) return {.consumed = 0, .status = ParseStatus::failed};
  if (state_ == State::complete) {
    head_.reset();
    body_.reset();
    known_ = nullptr;
    state_ = State::head;
  }
  std::size_t consumed = 0;
  if (state_ == State::head) consumed = feed_head(bytes);
  if (state_ == State::body) consumed += feed_body(bytes.substr(consumed));
  if (state_ == State::chunked) consumed += feed_chunked(bytes.substr(consumed));
  if (state_ == State::complete) {
    fill_request();
    return {.consumed = consumed, .status = ParseStatus::complete};
  }
  // The rest comes later, and these bytes will be gone by then.
  if (state_ == State::body || state_ == State::chunked) {
    if (!keep_head() || !body_.keep()) fail(ParseError::memory);
  }
  return {.consumed = consumed,
          .status = state_ == State::failed ? ParseStatus::failed : ParseStatus::more};
}

std::size_t RequestParser::feed_head(std::string_view bytes) noexcept {
  if (heads_ != nullptr && !head_.started()) {
    known_ = heads_->find(bytes, *recent_);
    if (known_ != nullptr) {
      request_ = known_->request;
      expects_continue_ = false;
      const ParseError error = begin_body(known_->info);
      if (error != ParseError::none) fail(error);
      return known_->text.size();
    }
  }
  const HeadReader::Step step = head_.feed(bytes);
  ParseError error = step.error;
  if (error == ParseError::none && step.complete) {
    error = read_head();
    if (error == ParseError::none) error = begin_body(head_.info());
    if (error == ParseError::none && heads_ != nullptr) {
      heads_->note(head_.text(), head_.headers(), head_.info(), request_, *recent_);
    }
  }
  if (error != ParseError::none) fail(error);
  return step.consumed;
}

void RequestParser::fail(ParseError error) noexcept {
  assert(error != ParseError::none);
  state_ = State::failed;
  error_ = error;
}

ParseError RequestParser::read_head() noexcept {
  const HeadInfo& info = head_.info();
  if (info.method == HTTP_CONNECT) return ParseError::connect;
  request_ = {};
  request_.method = method_of(info.method);
  request_.http11 = info.http11;
  request_.keep_alive = info.keep_alive;
  request_.headers = &head_.headers();
  if (const ParseError error = split_target(); error != ParseError::none) return error;
  if (const ParseError error = check_host(); error != ParseError::none) return error;
  read_expect();
  return ParseError::none;
}

ParseError RequestParser::begin_body(const HeadInfo& info) noexcept {
  if (info.chunked) {
    chunks_.start(limits_.body_size_max, limits_.chunk_extra_max);
    state_ = State::chunked;
    return ParseError::none;
  }
  if (info.length > limits_.body_size_max) return ParseError::body_too_large;
  body_left_ = info.length;
  state_ = body_left_ > 0 ? State::body : State::complete;
  return ParseError::none;
}

// RFC 9110 section 10.1.1. HTTP/1.0 does not know the field.
void RequestParser::read_expect() noexcept {
  expects_continue_ = false;
  const Headers& headers = head_.headers();
  if (headers.count(Field::expect) == 0 || !head_.info().http11) return;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const Header header = headers.at(i);
    if (!equals_ignoring_case(header.name, "expect")) continue;
    const bool known = equals_ignoring_case(header.value, "100-continue");
    expects_continue_ = expects_continue_ || known;
    request_.unknown_expectation = request_.unknown_expectation || !known;
  }
}

// RFC 9112 section 3.2: exactly one Host field in HTTP/1.1. An absolute-form target wins over it,
// but a proxy in front of us may look at the other: they have to agree.
ParseError RequestParser::check_host() const noexcept {
  const auto host = head_.headers().find(Field::host);
  if (!host) return head_.info().http11 ? ParseError::host : ParseError::none;
  if (head_.headers().count(Field::host) > 1 || host->empty()) return ParseError::host;
  if (std::ranges::any_of(*host, ends_host)) return ParseError::host;
  const bool absolute = !request_.target.starts_with('/') && request_.target != "*";
  if (absolute && !equals_ignoring_case(*host, request_.authority)) return ParseError::host;
  return ParseError::none;
}

// RFC 9112 section 3.2: origin-form, absolute-form, or "*" with OPTIONS.
ParseError RequestParser::split_target() noexcept {
  std::string_view target = head_.target();
  request_.target = target;
  request_.authority = head_.headers().find(Field::host).value_or(std::string_view{});
  if (target == "*") {
    request_.path = target;
    return head_.info().method == HTTP_OPTIONS ? ParseError::none : ParseError::target;
  }
  if (target.find('#') != target.npos) return ParseError::target;
  if (!target.starts_with('/')) {
    const std::size_t scheme = target.find("://");
    if (scheme == target.npos || (!equals_ignoring_case(target.substr(0, scheme), "http") &&
                                  !equals_ignoring_case(target.substr(0, scheme), "https"))) {
      return ParseError::target;
    }
    target.remove_prefix(scheme + 3);
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    request_.authority = target.substr(0, end);
    if (request_.authority.empty() || request_.authority.find('@') != target.npos) {
      return ParseError::target;
    }
    target.remove_prefix(end);
  }
  const std::size_t question = target.find('?');
  request_.path = target.substr(0, question);
  if (request_.path.empty()) request_.path = "/";
  if (question != target.npos) request_.query = target.substr(question + 1);
  return ParseError::none;
}

std::size_t RequestParser::feed_body(std::string_view bytes) noexcept {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
  if (!body_.add(bytes.substr(0, size))) {
    fail(ParseError::memory);
    return size;
  }
  body_left_ -= size;
  if (body_left_ == 0) state_ = State::complete;
  return size;
}

std::size_t RequestParser::feed_chunked(std::string_view bytes) noexcept {
  std::size_t consumed = 0;
  for (;;) {
    const ChunkedDecoder::Step step = chunks_.feed(bytes.substr(consumed));
    consumed += step.consumed;
    switch (step.status) {
      case ChunkedDecoder::Status::data:
        if (!body_.add(step.data)) {
          fail(ParseError::memory);
          return consumed;
        }
        break;
      case ChunkedDecoder::Status::more:
        return consumed;
      case ChunkedDecoder::Status::done:
        state_ = State::complete;
        return consumed;
      case ChunkedDecoder::Status::failed:
        fail(ParseError::chunk);
        return consumed;
      case ChunkedDecoder::Status::too_large:
        fail(ParseError::body_too_large);
        return consumed;
    }
  }
}

void RequestParser::fill_request() noexcept {
  if (known_ == nullptr && request_.target.data() != head_.target().data()) {
    // The head has moved since read_head(), as the body came in pieces.
    [[maybe_unused]] const ParseError error = split_target();
    assert(error == ParseError::none);
  }
  request_.body = body_.view();
}

const Request& RequestParser::head() noexcept {
  assert(in_body());
  fill_request();
  request_.body = {};
  return request_;
}

bool RequestParser::keep() noexcept {
  assert(state_ == State::complete);
  if (!keep_head() || !body_.keep()) return false;
  fill_request();
  return true;
}

bool RequestParser::keep_head() noexcept {
  if (known_ == nullptr) return head_.keep();
  if (!head_.assume(known_->text, known_->headers, known_->info)) return false;
  known_ = nullptr;
  request_.headers = &head_.headers();
  request_.known = {};
  return true;
}

bool RequestParser::idle() const noexcept {
  return state_ == State::complete || (state_ == State::head && !head_.started());
}

bool RequestParser::in_body() const noexcept {
  return state_ == State::body || state_ == State::chunked;
}

bool RequestParser::awaits_continue() const noexcept {
  return in_body() && expects_continue_ && body_.size() == 0;
}

void RequestParser::release() noexcept {
  head_.release();
  body_.release();
  known_ = nullptr;
  request_ = {};
  expects_continue_ = false;
  error_ = ParseError::none;
  state_ = State::head;
}

std::size_t RequestParser::capacity() const noexcept { return head_.capacity() + body_.capacity(); }

}  // namespace tocsin::http
