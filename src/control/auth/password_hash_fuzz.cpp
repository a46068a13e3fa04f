// Goal: whatever is written as a password or token hash is refused or names a cost within bounds.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/auth/password_hash.hpp"
#include "control/auth/token.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto cost = auth::parse_password_hash(text)) {
    if (cost->memory_bytes < 8192 || cost->passes > auth::hash_passes_max) std::abort();
    const auto decoy = auth::parse_password_hash(auth::decoy_of(text));
    if (!decoy || decoy->memory_bytes != cost->memory_bytes) std::abort();
  }
  if (const auto hash = auth::parse_token_hash(text)) {
    if (!auth::parse_token_hash(auth::to_string(*hash))) std::abort();
  }
  return 0;
}
