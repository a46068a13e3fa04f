// The gzip coding over arbitrary bytes: no crash, no output beyond the limits, and what a used
// decoder says is what a fresh one says.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/http/gzip.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  static http::GzipDecoder used;
  const std::string coded(reinterpret_cast<const char*>(data), size);
  const http::GzipLimits limits{.size_max = 20'000, .ratio_max = 50, .free_size = 1000};
  ByteBudget budget(1 << 20);
  ByteBuffer first(&budget);
  ByteBuffer second(&budget);
  http::GzipDecoder fresh;
  const auto status = used.decode(coded, limits, first);
  if (status != fresh.decode(coded, limits, second)) std::abort();
  if (first.view() != second.view() || status == http::GzipStatus::memory) std::abort();
  if (status == http::GzipStatus::ok && first.size() > limits.size_max) std::abort();
  if (first.size() > limits.size_max + 1) std::abort();
  return 0;
}
