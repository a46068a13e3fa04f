#pragma once
// The Authorization field (RFC 9110 section 11.6.2): Bearer (RFC 6750) and Basic (RFC 7617).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::http {

/// What the field shows. The user name and password stand in memory of this object, which is wiped
/// when it ends.
class Authorization {
 public:
  enum class Scheme : std::uint8_t { bearer, basic };

  /// Nothing when the scheme is neither of the two, or what follows it is malformed. `value`
  /// outlives the object.
  [[nodiscard]] static std::optional<Authorization> parse(std::string_view value) noexcept;

  Authorization(Authorization&&) noexcept = default;
  Authorization& operator=(Authorization&&) noexcept = default;
  Authorization(const Authorization&) = delete;
  Authorization& operator=(const Authorization&) = delete;
  ~Authorization();

  [[nodiscard]] Scheme scheme() const noexcept { return scheme_; }
  [[nodiscard]] std::string_view token() const noexcept { return token_; }
  [[nodiscard]] std::string_view user() const noexcept {
    return std::string_view(pair_).substr(0, colon_);
  }
  [[nodiscard]] std::string_view password() const noexcept {
    return scheme_ == Scheme::basic ? std::string_view(pair_).substr(colon_ + 1)
                                    : std::string_view{};
  }

 private:
  Authorization() = default;
  [[nodiscard]] bool read_pair(std::string_view coded) noexcept;

  Scheme scheme_ = Scheme::bearer;
  std::string_view token_;
  std::string pair_;  // "user:password"
  std::size_t colon_ = 0;
};

}  // namespace tocsin::http
