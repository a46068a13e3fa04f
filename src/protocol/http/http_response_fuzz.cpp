// The response parser over arbitrary bytes: no crash, and the same response whether the bytes come
// in one piece or one by one. The first byte chooses whether the request was HEAD.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/http/response_parser.hpp"

namespace {

using namespace tocsin::http;

std::string run(std::string_view bytes, std::size_t step, bool to_head) {
  tocsin::ByteBudget budget(1 << 20);
  auto parser = std::make_unique<ResponseParser>(
      Limits{.head_size_max = 600, .body_size_max = 300, .chunk_extra_max = 64}, &budget);
  parser->start(to_head);
  ParseStatus status = ParseStatus::more;
  std::string log;
  const auto note = [&] {
    log = std::to_string(parser->response().status);
    log += parser->response().keep_alive ? '+' : '-';
    log += parser->response().body_cut ? 'c' : 'w';
    log += parser->response().body;
    log += std::to_string(parser->response().headers->size());
  };
  while (!bytes.empty() && status == ParseStatus::more) {
    const std::string piece(bytes.substr(0, step));
    const auto fed = parser->feed(piece);
    status = fed.status;
    if (fed.consumed > piece.size()) std::abort();
    if (status == ParseStatus::complete) note();
    bytes.remove_prefix(fed.consumed);
  }
  if (status == ParseStatus::more) {
    status = parser->finish();
    if (status == ParseStatus::complete) note();
  }
  if (status == ParseStatus::failed) log += to_string(parser->error());
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool to_head = (data[0] & 1U) != 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = run(bytes, SIZE_MAX, to_head);
  if (whole != run(bytes, 1, to_head) || whole != run(bytes, 7, to_head)) std::abort();
  return 0;
}
