// Any text: parsing never crashes, and the same text gives the same answer.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control/config/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  constexpr std::size_t input_size_max = 16 * 1024;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // A secret's file is whatever the text names: a fuzzer must not open files.
  if (size > input_size_max || text.find("file") != text.npos) return 0;
  const auto first = config::parse(text, "fuzz");
  const auto second = config::parse(text, "fuzz");
  if (first.has_value() != second.has_value()) std::abort();
  if (first) {
    if (!(first->rules == second->rules && first->channels == second->channels &&
          first->http == second->http)) {
      std::abort();
    }
    return 0;
  }
  if (first.error().empty() || first.error().size() != second.error().size()) std::abort();
  for (std::size_t i = 0; i < first.error().size(); ++i) {
    const std::string line = config::to_string(first.error()[i]);
    if (line != config::to_string(second.error()[i])) std::abort();
  }
  return 0;
}
