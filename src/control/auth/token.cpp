#include "control/auth/token.hpp"

#include <sodium.h>

namespace tocsin::auth {
namespace {

constexpr std::string_view token_prefix = "tcs_";
constexpr std::string_view hash_prefix = "blake2b:";
// Separates these hashes from every other use of BLAKE2b; it is no secret.
constexpr std::string_view hash_domain = "tocsin ingress token, version 1";

}  // namespace

std::string make_token() {
  std::array<unsigned char, 32> random{};
  randombytes_buf(random.data(), random.size());
  constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::array<char, sodium_base64_ENCODED_LEN(32, variant)> text{};
  sodium_bin2base64(text.data(), text.size(), random.data(), random.size(), variant);
  sodium_memzero(random.data(), random.size());
  return std::string(token_prefix) + text.data();
}

TokenHash hash_token(std::string_view token) noexcept {
  TokenHash hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(token.data()),
                     token.size(), reinterpret_cast<const unsigned char*>(hash_domain.data()),
                     hash_domain.size());
  return hash;
}

std::string to_string(const TokenHash& hash) {
  std::array<char, 2 * sizeof(TokenHash) + 1> hex{};
  sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
  return std::string(hash_prefix) + hex.data();
}

std::optional<TokenHash> parse_token_hash(std::string_view text) noexcept {
  if (!text.starts_with(hash_prefix)) return std::nullopt;
  text.remove_prefix(hash_prefix.size());
  TokenHash hash{};
  if (text.size() != 2 * hash.size()) return std::nullopt;
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_hex2bin(hash.data(), hash.size(), text.data(), text.size(), nullptr, &size, &end) !=
          0 ||
      size != hash.size() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return hash;
}

bool same(const TokenHash& a, const TokenHash& b) noexcept {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tocsin::auth
