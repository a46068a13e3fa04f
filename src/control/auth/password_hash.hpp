#pragma once
// Password hashes: Argon2id (RFC 9106) as a PHC string,
// "$argon2id$v=19$m=12288,t=3,p=1$SALT$HASH" with salt and hash in base64 without padding.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <tocsin/result.hpp>

namespace tocsin::auth {

/// What hashing one password costs.
struct HashCost {
  std::uint64_t memory_bytes = 0;
  std::uint32_t passes = 0;
};

/// As strong as OWASP asks for, and small enough for a gateway that checks two at a time.
inline constexpr HashCost default_hash_cost{.memory_bytes = std::uint64_t{12} << 20U, .passes = 3};

inline constexpr std::size_t password_size_max = 1024;
inline constexpr std::uint32_t hash_passes_max = 32;

/// The cost that a PHC string names. The error is a sentence that does not repeat the string: what
/// was written there may be a password.
[[nodiscard]] Result<HashCost, std::string> parse_password_hash(std::string_view phc);

/// Hashes with a random salt. Takes its time and memory; nothing when that cannot be had.
[[nodiscard]] Result<std::string, std::string> hash_password(std::string_view password,
                                                             const HashCost& cost);
enum class PasswordCheck : std::uint8_t {
  fits,
  wrong,
  impossible,  ///< Not checked: there was no memory, for example. Says nothing about the password.
};
/// Whether the password is the one that was hashed. Takes the time and memory that `phc` asks for.
/// `phc` passed parse_password_hash().
[[nodiscard]] PasswordCheck verify_password(const std::string& phc,
                                            std::string_view password) noexcept;

/// A hash that no password fits and that costs as much to check as `phc`, so that a user who does
/// not exist cannot be told from one who does.
[[nodiscard]] std::string decoy_of(std::string_view phc);

}  // namespace tocsin::auth
