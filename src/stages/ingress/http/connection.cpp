#include "stages/ingress/http/connection.hpp"

#include <algorithm>
#include <cassert>
#include <tuple>

#include "stages/ingress/http/server.hpp"

namespace tocsin::ingress {
namespace {

// Memory that a connection keeps between requests, each buffer; more is given back at once.
constexpr std::size_t kept_max = 32 * 1024;
// How long the answer to a request that we refused to read may take to reach the client.
constexpr Duration linger_time = std::chrono::seconds(1);

constexpr std::string_view single_path = "/api/events";
constexpr std::string_view batch_path = "/api/events/batch";

HttpRoute route_of(std::string_view path) noexcept {
  if (path == single_path) return HttpRoute::events;
  return path == batch_path ? HttpRoute::events_batch : HttpRoute::other;
}

Problem problem_of_parse(http::ParseError error) noexcept {
  using http::ParseError;
  Problem problem{.status = 400, .name = to_string(error), .title = "Malformed request"};
  switch (error) {
    case ParseError::head_too_large:
    case ParseError::headers_too_many:
      problem.status = 431;
      problem.title = "Header fields too large";
      break;
    case ParseError::body_too_large:
      problem.status = 413;
      problem.title = "Body too large";
      break;
    case ParseError::version:
      problem.status = 505;
      problem.title = "Only HTTP/1.0 and HTTP/1.1 are understood";
      break;
    case ParseError::connect:
    case ParseError::transfer_coding:
      problem.status = 501;
      problem.title = "Not implemented";
      break;
    case ParseError::memory:
      problem.status = 503;
      problem.title = "Out of capacity; try again";
      break;
    default:
      break;
  }
  return problem;
}

constexpr Problem foreign_host{
    .status = 403,
    .name = "host",
    .title = "Unknown host",
    .detail = "the Host header names neither this machine nor one of http.host_names"};
constexpr Problem foreign_origin{.status = 403,
                                 .name = "origin",
                                 .title = "Foreign origin",
                                 .detail = "web pages of other origins may not send events"};
constexpr Problem not_found{.status = 404, .name = "not_found", .title = "Not found"};
constexpr Problem not_allowed{.status = 405, .name = "method", .title = "Method not allowed"};
constexpr Problem timed_out{.status = 408, .name = "timeout", .title = "Request timeout"};

}  // namespace

HttpConnection::HttpConnection(HttpServer& server, std::uint32_t slot)
    : server_(server),
      slot_(slot),
      parser_({.head_size_max = server.options_.head_size_max,
               .body_size_max = server.options_.body_size_max},
              &server.budget_),
      backlog_(&server.budget_),
      queue_(server.options_.pipeline_max, server.budget_),
      sending_(&server.budget_) {}

// --- life
// ------------------------------------------------------------------------------------------

void HttpConnection::open(io::StreamControl& via, io::StreamId stream, const Peer& peer) noexcept {
  assert(life_ == Life::free && queue_.empty() && sending_.empty());
  via_ = &via;
  stream_ = stream;
  peer_ = peer.endpoint;
  loopback_ = peer.loopback;
  certificate_name_ = peer.certificate_name;
  life_ = Life::open;
  phase_ = Phase::none;
  phase_end_ = timer_due_ = MonoTime::max();
  receiving_ = peer_ended_ = linger_ = held_ = continued_ = false;
  after_events();
}

void HttpConnection::on_connected(io::Errno) noexcept { assert(false && "accepted stream"); }

void HttpConnection::on_end(io::Errno error) noexcept {
  if (error != 0) return close();
  peer_ended_ = true;
  if (life_ == Life::lingering) return close();
  server_.want_flush(slot_);
}

void HttpConnection::close() noexcept {
  if (life_ == Life::free || life_ == Life::closed) return;
  life_ = Life::closed;
  server_.loop_.disarm(*this);
  via_->close(stream_);
}

void HttpConnection::on_closed() noexcept {
  assert(life_ == Life::closed);
  life_ = Life::free;
  ++generation_;
  parser_.release();
  backlog_.release();
  queue_.clear();
  queue_.release();
  sending_.release();
  server_.closed(slot_);
}

void HttpConnection::drain() noexcept {
  if (life_ == Life::open) server_.want_flush(slot_);
}

void HttpConnection::finish() noexcept {
  if (!linger_ || peer_ended_) return close();
  life_ = Life::lingering;
  after_events();
}

bool HttpConnection::at_rest() const noexcept {
  return queue_.empty() && sending_.empty() && backlog_.empty() && !held_;
}

void HttpConnection::reclaim() noexcept {
  if (life_ != Life::open || !at_rest() || !parser_.idle()) return;
  parser_.release();
  backlog_.release();
  queue_.release();
  sending_.release();
}

// --- bytes in
// --------------------------------------------------------------------------------------

void HttpConnection::on_data(std::span<const std::byte> bytes) noexcept {
  server_.metrics_.received_bytes.add(bytes.size());
  if (life_ != Life::open) return;
  const ByteBudget& budget = server_.budget_;
  if (budget.max() - budget.used() < 2 * bytes.size()) server_.reclaim();
  advance({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void HttpConnection::advance(std::string_view bytes) noexcept {
  assert(life_ == Life::open);
  if (backlog_.empty()) {
    const std::size_t taken = process(bytes);
    if (life_ == Life::open && !store(bytes.substr(taken))) refuse(http::ParseError::memory);
  } else if (!store(bytes)) {
    refuse(http::ParseError::memory);
  } else {
    const std::size_t taken = process(backlog_.view());
    if (life_ == Life::open) backlog_.consume(taken);
  }
  if (life_ != Life::open) backlog_.clear();
  after_events();
}

bool HttpConnection::store(std::string_view bytes) noexcept {
  return backlog_.append(bytes) || (server_.reclaim() && backlog_.append(bytes));
}

bool HttpConnection::may_process() const noexcept {
  return life_ == Life::open && !held_ && !queue_.full() &&
         queue_.bytes() + sending_.size() < server_.options_.output_bytes_max;
}

std::size_t HttpConnection::process(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (at < bytes.size() && may_process()) {
    const auto fed = parser_.feed(bytes.substr(at));
    at += fed.consumed;
    if (fed.status == http::ParseStatus::failed) {
      refuse(parser_.error());
      return bytes.size();
    }
    if (fed.status == http::ParseStatus::more) {
      answer_continue();
      continue;
    }
    if (!handle(parser_.request())) break;
  }
  return at;
}

void HttpConnection::answer_continue() noexcept {
  if (continued_ || !parser_.awaits_continue() || queue_.full()) return;
  continued_ = true;
  std::ignore = queue_.begin();
  // Without memory for it the client sends the body after a second all the same.
  std::ignore = queue_.text().append("HTTP/1.1 100 Continue\r\n\r\n");
  queue_.end(AnswerKind::final, http::Persistence::implied);
}

bool HttpConnection::handle(const http::Request& request) noexcept {
  continued_ = false;
  const bool ingest =
      request.method == http::Method::post && route_of(request.path) != HttpRoute::other;
  if (!ingest || server_.intake_.ready()) {
    respond(request);
    return true;
  }
  if (!parser_.keep()) {
    refuse(http::ParseError::memory);
    return true;
  }
  held_ = true;
  server_.hold(slot_);
  return false;
}

void HttpConnection::resume() noexcept {
  if (life_ != Life::open || !held_) return;
  held_ = false;
  if (handle(parser_.request()) && life_ == Life::open) return advance({});
  after_events();
}

// --- requests
// --------------------------------------------------------------------------------------

void HttpConnection::respond(const http::Request& request) noexcept {
  const bool last = !request.keep_alive || server_.draining_;
  http::Persistence persistence = http::Persistence::implied;
  if (!request.http11) persistence = http::Persistence::keep_alive;
  if (last) persistence = http::Persistence::close;
  phase_ = Phase::none;  // The next request gets its own time.
  const std::uint32_t ordinal = queue_.begin();
  const Answer answer = route(request, ordinal);
  put(answer, route_of(request.path), persistence, request.method == http::Method::head);
  if (last && life_ == Life::open) life_ = Life::finishing;
}

Answer HttpConnection::route(const http::Request& request, std::uint32_t ordinal) noexcept {
  AnswerComposer& composer = server_.composer_;
  switch (server_.guard_.check(request, loopback_)) {
    case GuardVerdict::foreign_host:
      server_.metrics_.count(HttpRefusal::foreign_host);
      return composer.problem(foreign_host);
    case GuardVerdict::foreign_origin:
      server_.metrics_.count(HttpRefusal::foreign_origin);
      return composer.problem(foreign_origin);
    case GuardVerdict::allowed:
      break;
  }
  const HttpRoute route = route_of(request.path);
  if (route != HttpRoute::other) {
    if (request.method != http::Method::post) {
      server_.metrics_.count(HttpRefusal::method);
      Answer answer = composer.problem(not_allowed);
      answer.extra = "Allow: POST\r\n";
      return answer;
    }
    const flow::AckToken token{.sink = &server_,
                               .slot = slot_,
                               .generation = generation_,
                               .detail = std::uint64_t{ordinal} << 32U};
    return composer.take_events(request,
                                route == HttpRoute::events ? EventRoute::single : EventRoute::batch,
                                token, queue_);
  }
  HttpReply& reply = server_.reply_;
  reply.reset();
  if (!server_.router_.handle(request, reply)) {
    server_.metrics_.count(HttpRefusal::not_found);
    return composer.problem(not_found);
  }
  Answer answer{.status = reply.status, .content_type = reply.content_type, .body = reply.body};
  if (reply.status >= 400 && reply.body.empty()) {
    answer =
        composer.problem(reply.status == 405 ? not_allowed
                                             : Problem{.status = reply.status,
                                                       .name = "refused",
                                                       .title = http::reason_phrase(reply.status)});
  }
  if (!reply.allow.empty()) {
    reply.allow.insert(0, "Allow: ");
    reply.allow += "\r\n";
    answer.extra = reply.allow;
  }
  return answer;
}

void HttpConnection::put(const Answer& answer, HttpRoute route, http::Persistence persistence,
                         bool head_only) noexcept {
  server_.metrics_.count(route, answer.status);
  const bool written = write(answer, persistence, head_only, queue_.text());
  queue_.end(answer.kind, persistence);
  if (written) return;
  // An answer that cannot be given must not be taken for another's: the connection goes.
  server_.metrics_.count(HttpRefusal::memory);
  close();
}

bool HttpConnection::write(const Answer& answer, http::Persistence persistence, bool head_only,
                           ByteBuffer& out) noexcept {
  const http::ResponseHead head{.status = answer.status,
                                .content_type = answer.content_type,
                                .content_length = answer.body.size(),
                                .persistence = persistence,
                                .date = server_.date(),
                                .extra = answer.extra};
  const std::string_view body = head_only ? std::string_view{} : answer.body;
  const std::size_t before = out.size();
  if (http::append_head(out, head) && out.append(body)) return true;
  out.truncate(before);
  return server_.reclaim() && http::append_head(out, head) && out.append(body);
}

bool HttpConnection::substitute(std::string_view response, AnswerKind kind,
                                http::Persistence persistence,
                                std::span<const std::uint32_t> failed, ByteBuffer& out) noexcept {
  return write(server_.composer_.not_stored(response, kind, failed), persistence, false, out);
}

void HttpConnection::refuse(http::ParseError error) noexcept {
  server_.metrics_.count(error);
  if (error == http::ParseError::memory) server_.metrics_.count(HttpRefusal::memory);
  refuse(problem_of_parse(error), HttpRoute::other);
}

void HttpConnection::refuse(const Problem& problem, HttpRoute route) noexcept {
  if (queue_.full()) return close();
  std::ignore = queue_.begin();
  put(server_.composer_.problem(problem), route, http::Persistence::close, false);
  if (life_ == Life::closed) return;
  life_ = Life::finishing;
  linger_ = true;
}

// --- bytes out
// -------------------------------------------------------------------------------------

void HttpConnection::on_ack(std::uint64_t detail, bool stored) noexcept {
  queue_.settle(static_cast<std::uint32_t>(detail >> 32U), static_cast<std::uint32_t>(detail),
                stored);
  if (queue_.front_ready()) server_.want_flush(slot_);
}

void HttpConnection::flush() noexcept {
  if (life_ != Life::open && life_ != Life::finishing) return;
  if (sending_.empty()) {
    if (!queue_.take_ready(sending_, *this)) {
      server_.metrics_.count(HttpRefusal::memory);
      return close();
    }
    if (!sending_.empty()) {
      server_.metrics_.sent_bytes.add(sending_.size());
      via_->send(stream_, std::as_bytes(std::span(sending_.view())));
    }
  }
  if (life_ == Life::open && !backlog_.empty() && may_process()) advance({});
  const bool over =
      life_ == Life::finishing || peer_ended_ || (server_.draining_ && parser_.idle());
  if (over && at_rest()) return finish();
  after_events();
}

void HttpConnection::on_sent(io::Errno error) noexcept {
  if (error != 0) return close();
  sending_.clear();
  phase_ = Phase::none;
  if (life_ == Life::closed) return;
  server_.want_flush(slot_);
}

// --- what every event ends with
// ----------------------------------------------------------------------

void HttpConnection::after_events() noexcept {
  if (life_ == Life::free || life_ == Life::closed) return;
  if (queue_.front_ready() && sending_.empty()) server_.want_flush(slot_);
  const bool discarding = life_ == Life::lingering || (life_ == Life::finishing && linger_);
  const bool wanted = !peer_ended_ && (discarding || (may_process() && backlog_.empty()));
  if (wanted != receiving_) {
    receiving_ = wanted;
    if (wanted) via_->receive_start(stream_);
    if (!wanted && !peer_ended_) via_->receive_stop(stream_);
  }
  if (at_rest()) {
    if (parser_.idle() && parser_.capacity() > kept_max) parser_.release();
    if (backlog_.capacity() > kept_max) backlog_.release();
    if (queue_.capacity() > kept_max) queue_.release();
    if (sending_.capacity() > kept_max) sending_.release();
  }
  watch();
}

HttpConnection::Phase HttpConnection::phase() const noexcept {
  if (life_ == Life::lingering) return Phase::lingering;
  if (!sending_.empty()) return Phase::sending;
  if (held_ || !queue_.empty() || life_ == Life::finishing) return Phase::waiting;
  if (parser_.in_body()) return Phase::body;
  return parser_.idle() ? Phase::idle : Phase::head;
}

Duration HttpConnection::phase_limit(Phase phase) const noexcept {
  switch (phase) {
    case Phase::idle:
      return server_.options_.idle_timeout;
    case Phase::head:
      return server_.options_.head_timeout;
    case Phase::body:
    case Phase::sending:
      return server_.options_.body_timeout;
    case Phase::lingering:
      return linger_time;
    case Phase::none:
    case Phase::waiting:
      break;  // For our own journal: no fault of the client.
  }
  return Duration::max();
}

// The timer is left alone when it fires too early: most connections move on long before it would,
// and a look at the clock then is cheaper than a heap operation per request.
void HttpConnection::watch() noexcept {
  const Phase current = phase();
  if (current != phase_) {
    phase_ = current;
    const Duration limit = phase_limit(current);
    phase_end_ = limit == Duration::max() ? MonoTime::max() : server_.loop_.now() + limit;
  }
  if (phase_end_ >= timer_due_) return;
  timer_due_ = phase_end_;
  server_.loop_.arm(*this, timer_due_);
}

void HttpConnection::on_timer(MonoTime now) noexcept {
  timer_due_ = MonoTime::max();
  if (now < phase_end_) return watch();
  switch (phase_) {
    case Phase::head:
    case Phase::body:
      server_.metrics_.count(phase_ == Phase::head ? HttpRefusal::head_timeout
                                                   : HttpRefusal::body_timeout);
      refuse(timed_out, HttpRoute::other);
      return after_events();
    case Phase::idle:
      server_.metrics_.count(HttpRefusal::idle_timeout);
      return close();
    case Phase::sending:
      server_.metrics_.count(HttpRefusal::send_timeout);
      return close();
    default:
      return close();
  }
}

}  // namespace tocsin::ingress
