#pragma once
// What a request says, apart from how it was read.

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/http/head.hpp"

namespace tocsin::http {

enum class Method : std::uint8_t { get, head, post, put, del, patch, options, other };

/// Names a remembered head (see KnownHeads). Never given to another head; the default names none.
struct HeadName {
  std::uint32_t slot = UINT32_MAX;
  std::uint32_t serial = 0;
  bool operator==(const HeadName&) const = default;
};

/// A complete request. Its views are valid until the parser is fed again and, unless the parser
/// was told to keep(), only as long as the bytes last fed to it and until another parser of the
/// thread is fed. At least json_padding readable bytes follow the body if they follow the bytes
/// that were fed.
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
  /// When its head was recognized: all but the value of Content-Length is the same in every request
  /// with this name.
  HeadName known{};

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
    return headers == nullptr ? std::nullopt : headers->find(name);
  }
  [[nodiscard]] std::optional<std::string_view> header(Field field) const noexcept {
    return headers == nullptr ? std::nullopt : headers->find(field);
  }
};

}  // namespace tocsin::http
