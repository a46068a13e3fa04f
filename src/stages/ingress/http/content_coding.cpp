#include "stages/ingress/http/content_coding.hpp"

#include "base/ascii.hpp"

namespace tocsin::ingress {

ContentCoding coding_of(const http::Headers& headers) noexcept {
  ContentCoding coding = ContentCoding::identity;
  if (headers.count(http::Field::content_encoding) == 0) return coding;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const http::Header header = headers.at(i);
    if (!equals_ignoring_case(header.name, "content-encoding")) continue;
    if (equals_ignoring_case(header.value, "identity")) continue;
    if (coding != ContentCoding::identity) return ContentCoding::unknown;
    const bool gzip =
        equals_ignoring_case(header.value, "gzip") || equals_ignoring_case(header.value, "x-gzip");
    if (!gzip) return ContentCoding::unknown;
    coding = ContentCoding::gzip;
  }
  return coding;
}

}  // namespace tocsin::ingress
