#pragma once
// What an errno value means, for people.

#include <string>
#include <system_error>

namespace tocsin {

/// Any thread, unlike strerror().
[[nodiscard]] inline std::string errno_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace tocsin
