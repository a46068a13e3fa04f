#include "io/tls/tls_error.hpp"

#include <mbedtls/error.h>

#include <array>

namespace tocsin::io {

std::string tls_error_text(int code) {
  std::array<char, 160> text{};
  mbedtls_strerror(code, text.data(), text.size());
  return text.data();
}

}  // namespace tocsin::io
