#pragma once
// Standard Webhooks signatures, scheme v1 (specification, "Signature scheme").

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/result.hpp>

namespace tocsin::deliver {

/// A signing secret: 24 to 64 bytes, written "whsec_" + base64.
class SigningSecret {
 public:
  [[nodiscard]] static Result<SigningSecret, std::string> parse(std::string_view text);
  /// "v1," + base64(HMAC-SHA256(secret, "id.timestamp.body")).
  [[nodiscard]] std::string sign(std::string_view id, std::int64_t timestamp_s,
                                 std::string_view body) const;

 private:
  std::vector<unsigned char> key_;
};

/// The header's value: one signature a secret, so that a receiver may rotate.
[[nodiscard]] std::string signature_header(std::span<const SigningSecret> secrets,
                                           std::string_view id, std::int64_t timestamp_s,
                                           std::string_view body);

}  // namespace tocsin::deliver
