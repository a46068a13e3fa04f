#include "cli/bench/http_sender.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "protocol/json/text.hpp"

namespace tocsin::cli::bench {
namespace {

constexpr std::size_t requests_max = 256;
constexpr std::size_t answer_size_max = std::size_t{4} << 20U;

Template wrap_event(const Plan& plan, const Template& payload) {
  Template event;
  event.text = "{\"event\":";
  json::append_string(event.text, plan.event);
  event.text += ",\"payload\":";
  append_template(event, payload);
  event.text += '}';
  return event;
}

Template make_request(const Plan& plan, std::size_t first_payload) {
  Template body;
  if (plan.batch > 1) body.text = "[";
  for (std::size_t i = 0; i < plan.batch; ++i) {
    if (i > 0) body.text += ',';
    append_template(body,
                    wrap_event(plan, plan.payloads[(first_payload + i) % plan.payloads.size()]));
  }
  if (plan.batch > 1) body.text += ']';
  Template request;
  request.text = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n",
      plan.batch > 1 ? "/api/events/batch" : "/api/events", plan.host, body.text.size());
  append_template(request, body);
  return request;
}

std::size_t largest(const std::vector<Template>& requests) {
  std::size_t size = 0;
  for (const Template& request : requests) size = std::max(size, request.text.size());
  return size;
}

std::uint64_t count_errors(std::string_view body) noexcept {
  constexpr std::string_view mark = "{\"error\":";
  std::uint64_t errors = 0;
  for (auto at = body.find(mark); at != body.npos; at = body.find(mark, at + mark.size())) {
    ++errors;
  }
  return errors;
}

}  // namespace

std::vector<Template> make_requests(const Plan& plan) {
  // After this many requests the cycle of payloads begins anew at a request's start.
  const std::size_t payloads = plan.payloads.size();
  const std::size_t cycle =
      std::min(requests_max, payloads / std::gcd(payloads, std::size_t{plan.batch}));
  std::vector<Template> requests;
  for (std::size_t i = 0; i < cycle; ++i) requests.push_back(make_request(plan, i * plan.batch));
  return requests;
}

HttpSender::HttpSender(Session& session, std::uint32_t index, const std::vector<Template>& requests)
    : Sender(session, index, largest(requests)),
      requests_(requests),
      next_request_(index % requests.size()),
      parser_({.body_size_max = answer_size_max}, nullptr),
      due_(session.plan.window) {
  parser_.start(false);
}

std::size_t HttpSender::on_bytes(std::string_view bytes) noexcept {
  const MonoTime now = io_.now();
  std::size_t used = take_usual(bytes, now);
  while (used < bytes.size() && !failed()) {
    if (in_flight_ == 0) {
      fail("the server answered what was not asked");
      break;
    }
    const std::string_view rest = bytes.substr(used);
    const bool whole = !parsing_;
    const auto fed = parser_.feed(rest);
    used += fed.consumed;
    parsing_ = fed.status == http::ParseStatus::more;
    if (fed.status == http::ParseStatus::failed) {
      fail(fmt::format("not a proper answer: {}", http::to_string(parser_.error())));
    } else if (fed.status == http::ParseStatus::complete) {
      if (whole) learn_usual(rest.substr(0, fed.consumed), parser_.response());
      on_response(parser_.response(), now);
      parser_.start(false);
      used += take_usual(bytes.substr(used), now);
    } else {
      break;
    }
  }
  hasten();
  return failed() ? bytes.size() : used;
}

std::size_t HttpSender::take_usual(std::string_view bytes, MonoTime now) noexcept {
  if (parsing_ || usual_head_.empty()) return 0;
  const std::size_t size = usual_head_.size() + usual_body_size_;
  std::size_t used = 0;
  while (in_flight_ > 0 && bytes.size() - used >= size &&
         bytes.compare(used, usual_head_.size(), usual_head_) == 0) {
    used += size;
    acknowledged(take_oldest(), now, session_.plan.batch, session_.plan.batch);
  }
  return used;
}

void HttpSender::learn_usual(std::string_view answer, const http::Response& response) {
  if (response.status != 202 || !response.keep_alive) return;
  const auto end = answer.find("\r\n\r\n");
  if (end == answer.npos || end + 4 + response.body.size() != answer.size()) return;
  usual_head_.assign(answer.substr(0, end + 4));
  usual_body_size_ = response.body.size();
}

MonoTime HttpSender::take_oldest() noexcept {
  const MonoTime due = due_[oldest_];
  if (++oldest_ == due_.size()) oldest_ = 0;
  --in_flight_;
  return due;
}

void HttpSender::on_response(const http::Response& response, MonoTime now) noexcept {
  const MonoTime due = take_oldest();
  const std::uint64_t events = session_.plan.batch;
  std::uint64_t refused = response.status == 202 ? 0 : events;
  if (response.status == 207) refused = std::min(events, count_errors(response.body));
  tally_.refused += refused;
  session_.last_answer = now;
  if (events > refused) acknowledged(due, now, events - refused, events - refused);
  if (!response.keep_alive) {
    fail(fmt::format("the server closed a connection after status {}", response.status));
  }
}

std::uint64_t HttpSender::write_some(std::uint64_t sends_max, MonoTime intended) noexcept {
  std::uint64_t written = 0;
  for (; written < sends_max && in_flight_ < due_.size(); ++written) {
    const Template& request = requests_[next_request_];
    const std::size_t size = request.text.size();
    const std::span<char> out = room();
    if (size > out.size()) break;
    std::memcpy(out.data(), request.text.data(), size);
    session_.stamps.fill(out.first(size), request, intended);
    wrote(size);
    std::size_t newest = oldest_ + in_flight_++;
    if (newest >= due_.size()) newest -= due_.size();
    due_[newest] = intended;
    if (++next_request_ == requests_.size()) next_request_ = 0;
  }
  tally_.sent += written * session_.plan.batch;
  return written;
}

}  // namespace tocsin::cli::bench
