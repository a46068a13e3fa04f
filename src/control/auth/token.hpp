#pragma once
// Tokens: 256 random bits that a client shows instead of a password. Nobody can guess them, so a
// fast hash keeps them: it is looked up and compared at once, on the reactor.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::auth {

using TokenHash = std::array<std::uint8_t, 32>;

inline constexpr std::size_t token_size_max = 256;

/// "tcs_" and 43 characters of base64url, all of which may stand in a header field or a password.
[[nodiscard]] std::string make_token();
[[nodiscard]] TokenHash hash_token(std::string_view token) noexcept;
/// "blake2b:" and 64 hexadecimal digits, as the configuration holds it.
[[nodiscard]] std::string to_string(const TokenHash& hash);
[[nodiscard]] std::optional<TokenHash> parse_token_hash(std::string_view text) noexcept;
/// In constant time.
[[nodiscard]] bool same(const TokenHash& a, const TokenHash& b) noexcept;

}  // namespace tocsin::auth
