#pragma once
// What mbedTLS says about an error, for people.

#include <string>

namespace tocsin::io {

[[nodiscard]] std::string tls_error_text(int code);

}  // namespace tocsin::io
