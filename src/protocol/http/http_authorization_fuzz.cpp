// The Authorization field over arbitrary text: no crash, and what is accepted keeps its rules.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/http/authorization.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tocsin::http::Authorization;
  const std::string value(reinterpret_cast<const char*>(data), size);
  const auto parsed = Authorization::parse(value);
  if (!parsed) return 0;
  if (parsed->scheme() == Authorization::Scheme::bearer) {
    if (parsed->token().empty() || !parsed->user().empty()) std::abort();
    return 0;
  }
  if (parsed->user().find(':') != std::string_view::npos) std::abort();
  if (parsed->user().size() + parsed->password().size() > size) std::abort();
  return 0;
}
