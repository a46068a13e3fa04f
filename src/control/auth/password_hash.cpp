#include "control/auth/password_hash.hpp"

#include <sodium.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace tocsin::auth {
namespace {

constexpr std::string_view prefix = "$argon2id$v=19$";
constexpr std::size_t salt_size_min = 11;  // 8 bytes in base64 without padding.
constexpr std::size_t hash_size_min = 22;  // 16 bytes.

// Takes `name` and a decimal number without leading zeros from the front.
std::optional<std::uint32_t> take_number(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.starts_with('0')) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool is_base64(std::string_view text) {
  constexpr std::string_view extra = "+/";
  return text.size() % 4 != 1 && std::ranges::all_of(text, [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  extra.find(c) != std::string_view::npos;
         });
}

Unexpected<std::string> malformed() {
  return {
      "is not a password hash as `tocsin password` prints it: "
      "$argon2id$v=19$m=...,t=...,p=1$SALT$HASH"};
}

// libsodium answers the same for a wrong password and for memory that it could not get.
bool memory_for(const std::string& phc) noexcept {
  const auto cost = parse_password_hash(phc);
  if (!cost) return true;
  const auto size = static_cast<std::size_t>(cost->memory_bytes);
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  ::munmap(memory, size);
  return true;
}

}  // namespace

Result<HashCost, std::string> parse_password_hash(std::string_view phc) {
  if (phc.size() >= crypto_pwhash_STRBYTES || !phc.starts_with(prefix)) return malformed();
  std::string_view rest = phc.substr(prefix.size());
  const auto kib = take_number(rest, "m=");
  const auto passes = take_number(rest, ",t=");
  const auto lanes = take_number(rest, ",p=");
  if (!kib || !passes || !lanes || !rest.starts_with('$')) return malformed();
  rest.remove_prefix(1);
  const std::size_t cut = rest.find('$');
  if (cut == std::string_view::npos) return malformed();
  const std::string_view salt = rest.substr(0, cut);
  const std::string_view hash = rest.substr(cut + 1);
  if (salt.size() < salt_size_min || hash.size() < hash_size_min || !is_base64(salt) ||
      !is_base64(hash)) {
    return malformed();
  }
  if (*lanes != 1) return Unexpected{std::string("needs p=1")};
  const HashCost cost{.memory_bytes = std::uint64_t{*kib} * 1024, .passes = *passes};
  if (cost.memory_bytes < crypto_pwhash_MEMLIMIT_MIN || *passes > hash_passes_max) {
    return Unexpected{fmt::format("needs m of at least {} and t of at most {}",
                                  crypto_pwhash_MEMLIMIT_MIN / 1024, hash_passes_max)};
  }
  return cost;
}

Result<std::string, std::string> hash_password(std::string_view password, const HashCost& cost) {
  if (password.empty() || password.size() > password_size_max) {
    return Unexpected{fmt::format("a password has 1 to {} bytes", password_size_max)};
  }
  if (sodium_init() < 0) return Unexpected{std::string("no source of randomness")};
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(), cost.passes,
                            static_cast<std::size_t>(cost.memory_bytes),
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Unexpected{fmt::format("hashing needs {} bytes of memory", cost.memory_bytes)};
  }
  return std::string(out.data());
}

PasswordCheck verify_password(const std::string& phc, std::string_view password) noexcept {
  if (phc.size() >= crypto_pwhash_STRBYTES || password.size() > password_size_max) {
    return PasswordCheck::wrong;
  }
  std::array<char, crypto_pwhash_STRBYTES> padded{};
  std::ranges::copy(phc, padded.begin());
  if (crypto_pwhash_str_verify(padded.data(), password.data(), password.size()) == 0) {
    return PasswordCheck::fits;
  }
  return memory_for(phc) ? PasswordCheck::wrong : PasswordCheck::impossible;
}

std::string decoy_of(std::string_view phc) {
  std::string decoy(phc);
  const std::size_t at = decoy.rfind('$') + 1;
  // Of the last character some bits are padding that must be zero: it stays.
  std::array<unsigned char, crypto_pwhash_STRBYTES> random{};
  randombytes_buf(random.data(), random.size());
  constexpr std::string_view letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = at; i + 1 < decoy.size(); ++i) {
    decoy[i] = letters[random[i % random.size()] % letters.size()];
  }
  return decoy;
}

}  // namespace tocsin::auth
