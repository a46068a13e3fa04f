#pragma once
// The gzip content coding (RFC 9110 section 8.4.1.3, RFC 1952), bounded: a few bytes can stand for
// a thousand times as many.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/byte_buffer.hpp"

namespace tocsin::http {

enum class GzipStatus : std::uint8_t {
  ok,
  corrupt,    ///< Not gzip, cut short, a wrong checksum, or bytes behind the end.
  too_large,  ///< Over a limit; nothing further was decompressed.
  memory,
};

struct GzipLimits {
  std::size_t size_max = 1024 * 1024;  ///< Bytes that come out.
  std::size_t ratio_max = 256;         ///< Bytes out for each byte in, above `free_size`.
  std::size_t free_size = 64 * 1024;
};

/// Keeps about 44 KiB once it was used. One thread.
class GzipDecoder {
 public:
  GzipDecoder() noexcept;
  ~GzipDecoder();

  /// Replaces the content of `out` by what the whole of `coded` stands for, all members of it.
  [[nodiscard]] GzipStatus decode(std::string_view coded, const GzipLimits& limits,
                                  ByteBuffer& out) noexcept;

 private:
  struct Zlib;
  std::unique_ptr<Zlib> zlib_;
};

}  // namespace tocsin::http
