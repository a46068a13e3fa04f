#include "tests/sim/engine_http_peer.hpp"

#include <chrono>
#include <numeric>

#include <gtest/gtest.h>

namespace tocsin::sim_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration period = milliseconds{100};
constexpr Duration answer_timeout = seconds{5};

std::string entry_of(std::string_view name) {
  return fmt::format(R"({{"event":"order_created","payload":{}}})", payload_of(name));
}

}  // namespace

// --- producer

void HttpProducer::on_timer(MonoTime now) noexcept {
  if (asked_ && now - asked_at_ > answer_timeout) link_.close();
  if (link_.idle()) {
    asked_at_ = now;
    link_.connect(server_);
  } else if (!link_.open()) {
    if (now - asked_at_ > answer_timeout) link_.close();
  } else if (!asked_) {
    ask();
  }
  loop_.arm(*this, now + random_.between(period / 2, period * 2));
}

void HttpProducer::ask() {
  if (pending_.empty()) {
    for (std::uint64_t n = 1 + random_.below(plan_.batch_max); n > 0 && next_ <= plan_.total; --n) {
      pending_.push_back(event_name(plan_.name, next_++));
    }
  }
  if (pending_.empty()) return;
  const bool single = pending_.size() == 1 && plan_.batch_max == 1;
  const bool lines = random_.chance(0.5);
  std::string body;
  for (const std::string& name : pending_) {
    if (!body.empty()) body += lines ? "\n" : ",";
    body += entry_of(name);
    truth_.sent.insert(name);
  }
  if (!single && !lines) body = "[" + body + "]";
  link_.send(fmt::format(
      "POST /api/events{} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: {}\r\n"
      "Content-Length: {}\r\n\r\n{}",
      single ? "" : "/batch", !single && lines ? "application/x-ndjson" : "application/json",
      body.size(), body));
  parser_.start(false);
  asked_ = true;
  asked_at_ = loop_.now();
}

void HttpProducer::on_link_data(std::string_view bytes) {
  if (!asked_) return link_.close();  // Such as a 408 for a connection that was too long idle.
  const auto fed = parser_.feed(bytes);
  if (fed.status == http::ParseStatus::more) return;
  if (fed.status == http::ParseStatus::failed) return link_.close();
  const bool keep = parser_.response().keep_alive;
  on_answer(parser_.response());
  asked_ = false;
  if (!keep) link_.close();
}

void HttpProducer::on_answer(const http::Response& response) {
  if (response.status == 202) {
    truth_.acknowledged.insert(pending_.begin(), pending_.end());
    pending_.clear();
  } else if (response.status == 207) {
    on_entries(response.body);
  } else {
    EXPECT_EQ(response.status, 503) << response.body;
    ++truth_.refusals;
  }
}

void HttpProducer::on_entries(std::string_view body) {
  std::deque<std::string> refused;
  std::size_t index = 0;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    const std::string_view line = body.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with('{')) continue;
    ASSERT_LT(index, pending_.size());
    if (line.starts_with("{\"id\"")) {
      truth_.acknowledged.insert(pending_[index]);
    } else {
      ++truth_.refusals;
      refused.push_back(pending_[index]);
    }
    ++index;
  }
  EXPECT_EQ(index, pending_.size());
  pending_.swap(refused);
}

// --- receiver

WebhookReceiver::WebhookReceiver(flow::Loop& loop, const io::Endpoint& endpoint, Truth& truth,
                                 std::uint64_t seed)
    : loop_(loop), truth_(truth), random_(seed) {
  EXPECT_TRUE(loop_.io().listen(endpoint, false, *this));
}

io::StreamHandler* WebhookReceiver::on_accept(io::StreamId stream,
                                              const io::Endpoint& /*peer*/) noexcept {
  std::erase_if(connections_, [](const Connection& c) { return c.gone; });
  Connection& connection = connections_.emplace_back(*this);
  connection.link.adopt(stream);
  return &connection.link;
}

void WebhookReceiver::Connection::on_link_data(std::string_view bytes) {
  while (!bytes.empty() && link.open()) {
    const auto fed = parser.feed(bytes);
    bytes.remove_prefix(fed.consumed);
    EXPECT_NE(fed.status, http::ParseStatus::failed) << http::to_string(parser.error());
    if (fed.status == http::ParseStatus::failed) return link.close();
    if (fed.status == http::ParseStatus::complete) receiver.on_request(*this, parser.request());
  }
}

Answer WebhookReceiver::choose() {
  std::uint64_t at = random_.below(std::accumulate(weights.begin(), weights.end(), 0U));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (at < weights[i]) return static_cast<Answer>(i);
    at -= weights[i];
  }
  return Answer::ok;
}

void WebhookReceiver::on_request(Connection& connection, const http::Request& request) {
  Truth::Arrival& arrival = truth_.webhooks[std::string(request.header("webhook-id").value_or(""))];
  arrival.names.emplace(request.body);
  ++arrival.attempts;
  switch (choose()) {
    case Answer::ok:
      ++arrival.confirmed;
      return connection.link.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    case Answer::server_error:
      return connection.link.send("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    case Answer::throttled:
      return connection.link.send(
          "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    case Answer::hang:
      return;
    case Answer::drop:
      return connection.link.close();
    case Answer::gone:
      return connection.link.send("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
  }
}

}  // namespace tocsin::sim_test
