#include "protocol/http/body.hpp"

#include <algorithm>
#include <cassert>

#include "base/ascii.hpp"

namespace tocsin::http {
namespace {

constexpr bool is_control(char c) noexcept {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
}

// RFC 9110 section 5.6.2: tchar.
constexpr bool is_token(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace

void ChunkedDecoder::start(std::size_t data_max, std::size_t extra_max) noexcept {
  state_ = State::size_first;
  chunk_ = 0;
  data_left_ = data_max;
  extra_left_ = extra_max;
}

ChunkedDecoder::Step ChunkedDecoder::feed(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (state_ == State::data) {
      const auto size =
          static_cast<std::size_t>(std::min<std::uint64_t>(chunk_, bytes.size() - at));
      assert(size <= data_left_);
      chunk_ -= size;
      data_left_ -= size;
      if (chunk_ == 0) state_ = State::data_cr;
      return {.status = Status::data, .consumed = at + size, .data = bytes.substr(at, size)};
    }
    const Status status = take(bytes[at++]);
    if (status != Status::more) return {.status = status, .consumed = at};
  }
  return {.status = Status::more, .consumed = at};
}

ChunkedDecoder::Status ChunkedDecoder::take(char c) noexcept {
  const auto expect = [&](char wanted, State next) {
    state_ = next;
    return c == wanted ? Status::more : Status::failed;
  };
  switch (state_) {
    case State::size_first:
      chunk_ = 0;
      [[fallthrough]];
    case State::size:
      return take_size(c);
    case State::extension:
      return take_extra(c, State::size_lf);
    case State::size_lf:
      return expect('\n', chunk_ == 0 ? State::trailer_first : State::data);
    case State::data_cr:
      return expect('\r', State::data_lf);
    case State::data_lf:
      return expect('\n', State::size_first);
    case State::trailer_first:
      if (c == '\r') return expect('\r', State::end_lf);
      if (c == ':') return Status::failed;
      state_ = State::trailer_name;
      [[fallthrough]];
    case State::trailer_name:
      return take_trailer_name(c);
    case State::trailer:
      return take_extra(c, State::trailer_lf);
    case State::trailer_lf:
      return expect('\n', State::trailer_first);
    case State::end_lf:
      return c == '\n' ? Status::done : Status::failed;
    case State::data:
      break;
  }
  return Status::failed;
}

ChunkedDecoder::Status ChunkedDecoder::take_size(char c) noexcept {
  const int digit = hex_value(c);
  if (digit >= 0) {
    state_ = State::size;
    chunk_ = chunk_ * 16 + static_cast<std::uint64_t>(digit);
    // Leading zeros are counted, or a "size" could be as long as one likes.
    if (chunk_ == 0 && extra_left_-- == 0) return Status::failed;
    return chunk_ > data_left_ ? Status::too_large : Status::more;
  }
  if (state_ == State::size_first) return Status::failed;
  if (c == '\r') {
    state_ = State::size_lf;
    return Status::more;
  }
  if (c != ';') return Status::failed;
  state_ = State::extension;
  return Status::more;
}

// A line that is no field, such as the start of another request, means that two parsers disagree
// about where the body ends.
ChunkedDecoder::Status ChunkedDecoder::take_trailer_name(char c) noexcept {
  if ((c != ':' && !is_token(c)) || extra_left_ == 0) return Status::failed;
  --extra_left_;
  if (c == ':') state_ = State::trailer;
  return Status::more;
}

ChunkedDecoder::Status ChunkedDecoder::take_extra(char c, State at_cr) noexcept {
  if (c == '\r') {
    state_ = at_cr;
    return Status::more;
  }
  if (is_control(c) || extra_left_ == 0) return Status::failed;
  --extra_left_;
  return Status::more;
}

bool BodyCollector::add(std::string_view piece) noexcept {
  if (piece.empty()) return true;
  if (buffer_.empty() && in_place_.empty()) {
    in_place_ = piece;
    return true;
  }
  return keep() && buffer_.append(piece);
}

bool BodyCollector::keep() noexcept {
  if (!buffer_.append(in_place_)) return false;
  in_place_ = {};
  return true;
}

void BodyCollector::reset() noexcept {
  in_place_ = {};
  buffer_.clear();
}

void BodyCollector::release() noexcept {
  in_place_ = {};
  buffer_.release();
}

}  // namespace tocsin::http
