#include "protocol/http/authorization.hpp"

#include <string.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "protocol/utf8.hpp"

namespace tocsin::http {
namespace {

// RFC 9110 section 11.2: token68.
bool is_token68(std::string_view text) noexcept {
  while (text.ends_with('=')) text.remove_suffix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/").find(c) != std::string_view::npos;
  });
}

bool has_control(std::string_view text) noexcept {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

}  // namespace

Authorization::~Authorization() { explicit_bzero(pair_.data(), pair_.capacity()); }

std::optional<Authorization> Authorization::parse(std::string_view value) noexcept {
  const std::size_t space = value.find(' ');
  if (space == value.npos) return std::nullopt;
  const std::string_view scheme = value.substr(0, space);
  const std::size_t begin = value.find_first_not_of(' ', space);
  if (begin == value.npos) return std::nullopt;
  const std::string_view proof = value.substr(begin);
  if (!is_token68(proof)) return std::nullopt;
  Authorization parsed;
  if (equals_ignoring_case(scheme, "bearer")) {
    parsed.token_ = proof;
    return parsed;
  }
  if (!equals_ignoring_case(scheme, "basic") || !parsed.read_pair(proof)) return std::nullopt;
  return parsed;
}

bool Authorization::read_pair(std::string_view coded) noexcept {
  scheme_ = Scheme::basic;
  pair_.resize(base64_decoded_max(coded));
  const auto size = base64_decode(coded, pair_);
  if (!size) return false;
  pair_.resize(*size);
  colon_ = pair_.find(':');
  // RFC 7617 section 2: no control characters; we said charset="UTF-8".
  return colon_ != std::string::npos && utf8_valid(pair_) && !has_control(pair_);
}

}  // namespace tocsin::http
