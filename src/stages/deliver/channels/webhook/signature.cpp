#include "stages/deliver/channels/webhook/signature.hpp"

#include <mbedtls/base64.h>
#include <mbedtls/md.h>

#include <array>

namespace tocsin::deliver {
namespace {
constexpr std::string_view secret_prefix = "whsec_";
constexpr std::size_t secret_size_min = 24;
constexpr std::size_t secret_size_max = 64;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Frees what the digest context holds on every way out.
class Hmac {
 public:
  explicit Hmac(const std::vector<unsigned char>& key) {
    mbedtls_md_init(&context_);
    mbedtls_md_setup(&context_, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
    mbedtls_md_hmac_starts(&context_, key.data(), key.size());
  }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  ~Hmac() { mbedtls_md_free(&context_); }
  void update(std::string_view text) {
    mbedtls_md_hmac_update(&context_, bytes(text), text.size());
  }
  std::array<unsigned char, 32> finish() {
    std::array<unsigned char, 32> digest{};
    mbedtls_md_hmac_finish(&context_, digest.data());
    return digest;
  }

 private:
  mbedtls_md_context_t context_{};
};

}  // namespace

Result<SigningSecret, std::string> SigningSecret::parse(std::string_view text) {
  const auto fail = [] {
    return Unexpected{std::string("must be \"whsec_\" and 24 to 64 bytes in base64")};
  };
  if (!text.starts_with(secret_prefix)) return fail();
  text.remove_prefix(secret_prefix.size());
  SigningSecret secret;
  secret.key_.resize(secret_size_max + 3);
  std::size_t size = 0;
  if (mbedtls_base64_decode(secret.key_.data(), secret.key_.size(), &size, bytes(text),
                            text.size()) != 0 ||
      size < secret_size_min || size > secret_size_max) {
    return fail();
  }
  secret.key_.resize(size);
  return secret;
}

std::string SigningSecret::sign(std::string_view id, std::int64_t timestamp_s,
                                std::string_view body) const {
  Hmac hmac(key_);
  hmac.update(id);
  hmac.update(".");
  hmac.update(std::to_string(timestamp_s));
  hmac.update(".");
  hmac.update(body);
  const auto digest = hmac.finish();
  std::array<unsigned char, 64> text{};
  std::size_t size = 0;
  mbedtls_base64_encode(text.data(), text.size(), &size, digest.data(), digest.size());
  return "v1," + std::string(reinterpret_cast<const char*>(text.data()), size);
}

std::string signature_header(std::span<const SigningSecret> secrets, std::string_view id,
                             std::int64_t timestamp_s, std::string_view body) {
  std::string header;
  for (const SigningSecret& secret : secrets) {
    if (!header.empty()) header += ' ';
    header += secret.sign(id, timestamp_s, body);
  }
  return header;
}

}  // namespace tocsin::deliver
