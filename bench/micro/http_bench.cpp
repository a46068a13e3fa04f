// HTTP request parsing: one POST of 342 bytes, and sixteen of them in one buffer.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/http/request_parser.hpp"

namespace {

using namespace tocsin::http;

constexpr std::size_t request_size = 342;

std::string sample() {
  std::string body =
      R"({"event":"order_created","payload":{"order_id":444,"customer_email":"john@example.com")";
  const std::string head =
      "POST /api/events HTTP/1.1\r\nHost: gateway.example:8080\r\nUser-Agent: device/1.0\r\n"
      "Accept: */*\r\nContent-Type: application/json\r\nTocsin-Ack: stored\r\n"
      "Content-Length: 150\r\n\r\n";
  body += std::string(request_size - head.size() - body.size() - 2, ' ') + "}}";
  std::string request = head + body;
  const std::string length = std::to_string(body.size());
  request.replace(request.find("150"), 3, length);
  if (length.size() != 3 || request.size() != request_size) std::abort();
  return request;
}

void parse(benchmark::State& state, int requests) {
  std::string bytes;
  for (int i = 0; i < requests; ++i) bytes += sample();
  RequestParser parser({}, nullptr);
  for (auto _ : state) {
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const auto fed = parser.feed(rest);
      if (fed.status != ParseStatus::complete) std::abort();
      benchmark::DoNotOptimize(parser.request().body.data());
      rest.remove_prefix(fed.consumed);
    }
  }
  state.SetItemsProcessed(state.iterations() * requests);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

void http_parse_post(benchmark::State& state) { parse(state, 1); }
void http_parse_pipelined_16(benchmark::State& state) { parse(state, 16); }
BENCHMARK(http_parse_post);
BENCHMARK(http_parse_pipelined_16);

}  // namespace
