#include "protocol/http/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

namespace tocsin::http {
namespace {

constexpr int gzip_only = 16 + MAX_WBITS;
constexpr std::size_t step_size = 16 * 1024;

std::size_t output_max(std::size_t coded_size, const GzipLimits& limits) noexcept {
  const std::size_t by_ratio = coded_size > limits.size_max / limits.ratio_max
                                   ? limits.size_max
                                   : coded_size * limits.ratio_max;
  return std::min(limits.size_max, std::max(limits.free_size, by_ratio));
}

}  // namespace

struct GzipDecoder::Zlib {
  z_stream stream{};
  bool ready = false;
  ~Zlib() {
    if (ready) inflateEnd(&stream);
  }
  // zlib allocates on the first call and keeps it.
  [[nodiscard]] bool start() noexcept {
    if (ready) return inflateReset(&stream) == Z_OK;
    ready = inflateInit2(&stream, gzip_only) == Z_OK;
    return ready;
  }
};

GzipDecoder::GzipDecoder() noexcept = default;
GzipDecoder::~GzipDecoder() = default;

GzipStatus GzipDecoder::decode(std::string_view coded, const GzipLimits& limits,
                               ByteBuffer& out) noexcept {
  out.clear();
  if (zlib_ == nullptr) zlib_.reset(new (std::nothrow) Zlib);
  if (zlib_ == nullptr || !zlib_->start()) return GzipStatus::memory;
  if (coded.size() > std::numeric_limits<uInt>::max()) return GzipStatus::too_large;
  const std::size_t size_max = output_max(coded.size(), limits);
  z_stream& stream = zlib_->stream;
  // zlib does not write through this pointer; its type is from before const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));
  stream.avail_in = static_cast<uInt>(coded.size());
  for (;;) {
    // One byte more than may be shows that there is more.
    const std::size_t wanted = std::min(step_size, size_max + 1 - out.size());
    const std::span<char> room = out.tail(wanted);
    if (room.empty()) return GzipStatus::memory;
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(wanted);
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.commit(wanted - stream.avail_out);
    if (out.size() > size_max) return GzipStatus::too_large;
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return GzipStatus::ok;
      if (inflateReset(&stream) != Z_OK) return GzipStatus::memory;
      continue;
    }
    if (status == Z_MEM_ERROR) return GzipStatus::memory;
    // Room was left although the input is used up: it was cut short.
    if (status != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)) {
      return GzipStatus::corrupt;
    }
  }
}

}  // namespace tocsin::http
