#include <algorithm>

#include <fmt/format.h>

#include "cli/client/blocking_stream.hpp"
#include "cli/client/one_event.hpp"
#include "protocol/http/response_parser.hpp"
#include "protocol/json/text.hpp"
#include "protocol/json/validator.hpp"

namespace tocsin::cli {
namespace {

std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

Result<std::string, std::string> judge(const http::Response& response) {
  std::string body = one_line(response.body);
  if (response.status == 202) return body;
  return Unexpected{fmt::format("refused with status {}: {}", response.status, body)};
}

}  // namespace

Result<std::string, std::string> send_http(const Target& target, const HttpEvent& event,
                                           std::chrono::milliseconds timeout) {
  // Checked here too, so that the data cannot close the envelope around it.
  std::string padded = event.data + std::string(json_padding, ' ');
  json::Validator validator(event.data.size() + 1);
  if (!validator.validate(std::string_view(padded).substr(0, event.data.size()))) {
    return Unexpected{std::string("the data is not valid JSON")};
  }
  std::string body = "{\"event\":";
  json::append_string(body, event.event);
  body += ",\"payload\":" + event.data + "}";

  auto stream = BlockingStream::connect(target, timeout);
  if (!stream) return Unexpected{stream.error()};
  const auto sent = stream->send(
      fmt::format("POST /api/events HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n"
                  "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
                  to_string(target), body.size(), body));
  // A server that refuses early may close before it has read all: its answer counts, not our error.
  const http::Limits limits;
  http::ResponseParser parser(limits, nullptr);
  parser.start(false);
  for (;;) {
    const auto more = stream->receive();
    if (!more) return Unexpected{sent ? more.error() : sent.error()};
    const auto bytes = stream->received();
    const auto fed = parser.feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    auto status = fed.status;
    if (!*more) status = parser.finish();
    if (status == http::ParseStatus::complete) return judge(parser.response());
    if (status == http::ParseStatus::failed) {
      return Unexpected{fmt::format("{} gave no proper HTTP answer ({})", to_string(target),
                                    http::to_string(parser.error()))};
    }
    stream->consume(fed.consumed);
  }
}

}  // namespace tocsin::cli
