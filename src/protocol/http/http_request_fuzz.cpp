// The request parser over arbitrary bytes: no crash, and the same requests whether the bytes come
// in one piece or one by one, and whether their heads are recognized or not.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/http/request_parser.hpp"

namespace {

using namespace tocsin::http;

void note(std::string& log, const Request& request) {
  log += request.path;
  log += '?';
  log += request.query;
  log += '@';
  log += request.authority;
  for (std::size_t i = 0; i < request.headers->size(); ++i) {
    log += request.headers->at(i).name;
    log += ':';
    log += request.headers->at(i).value;
    log += '\n';
  }
  log += request.keep_alive ? '+' : '-';
  log += request.body;
  log += '\n';
}

std::string run(std::string_view bytes, std::size_t step, KnownHeads* heads = nullptr,
                RecentHeads* recent = nullptr) {
  tocsin::ByteBudget budget(1 << 20);
  auto parser = std::make_unique<RequestParser>(
      Limits{.head_size_max = 600, .body_size_max = 300, .chunk_extra_max = 64}, &budget);
  if (heads != nullptr) parser->recognize(*heads, *recent);
  std::string log;
  while (!bytes.empty()) {
    // A copy of exactly this size lets the sanitizer see every read beyond what was fed.
    const std::string piece(bytes.substr(0, step));
    const auto fed = parser->feed(piece);
    if (fed.consumed > piece.size()) std::abort();
    if (fed.status == ParseStatus::failed) {
      log += to_string(parser->error());
      return log;
    }
    if (fed.status == ParseStatus::complete) note(log, parser->request());
    if (fed.status == ParseStatus::more && fed.consumed != piece.size()) std::abort();
    bytes.remove_prefix(fed.consumed);
  }
  log += parser->idle() ? "idle" : "open";
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = run(bytes, SIZE_MAX);
  if (whole != run(bytes, 1) || whole != run(bytes, 7)) std::abort();
  // From the third time on, what can be recognized is.
  const auto heads = std::make_unique<KnownHeads>(1);
  RecentHeads recent;
  for (int i = 0; i < 4; ++i) {
    if (whole != run(bytes, SIZE_MAX, heads.get(), &recent)) std::abort();
  }
  if (whole != run(bytes, 64, heads.get(), &recent)) std::abort();
  return 0;
}
