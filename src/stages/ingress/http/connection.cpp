// Life and bytes of a connection.
#include "stages/ingress/http/connection.hpp"

#include <cassert>
#include <utility>

#include "stages/ingress/http/server.hpp"

namespace tocsin::ingress {

// --- life
// ------------------------------------------------------------------------------------------

void HttpConnection::open(io::StreamControl& via, io::StreamId stream, const Peer& peer) noexcept {
  assert(life_ == Life::free && exchange_ == nullptr);
  via_ = &via;
  stream_ = stream;
  peer_ = peer.endpoint;
  loopback_ = peer.loopback;
  if (!peer.certificate_name.empty()) client().certificate_name = peer.certificate_name;
  life_ = Life::open;
  recent_heads_ = {};
  phase_ = Phase::none;
  phase_end_ = timer_due_ = MonoTime::max();
  receiving_ = peer_ended_ = linger_ = held_ = authenticating_ = admitted_ = continued_ = false;
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
  client_.reset();
  progress_.reset();
  if (exchange_ != nullptr) {
    exchange_->release();
    server_.exchanges_.give_back(std::move(exchange_));
  }
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

// --- bytes in
// --------------------------------------------------------------------------------------

HttpExchange& HttpConnection::exchange() noexcept {
  if (exchange_ == nullptr) {
    exchange_ = server_.exchanges_.take();
    exchange_->parser.recognize(server_.heads_, recent_heads_);
  }
  return *exchange_;
}

void HttpConnection::on_data(std::span<const std::byte> bytes) noexcept {
  server_.metrics_.received_bytes.add(bytes.size());
  if (life_ != Life::open) return;
  const ByteBudget& budget = server_.budget_;
  if (budget.max() - budget.used() < 2 * bytes.size()) server_.reclaim();
  advance({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void HttpConnection::advance(std::string_view bytes) noexcept {
  assert(life_ == Life::open);
  ByteBuffer& backlog = exchange().backlog;
  if (backlog.empty()) {
    const std::size_t taken = process(bytes);
    if (life_ == Life::open && !store(bytes.substr(taken))) refuse(http::ParseError::memory);
  } else if (!store(bytes)) {
    refuse(http::ParseError::memory);
  } else {
    const std::size_t taken = process(backlog.view());
    if (life_ == Life::open) backlog.consume(taken);
  }
  if (life_ != Life::open) backlog.clear();
  after_events();
}

bool HttpConnection::store(std::string_view bytes) noexcept {
  ByteBuffer& backlog = exchange().backlog;
  return backlog.append(bytes) || (server_.reclaim() && backlog.append(bytes));
}

bool HttpConnection::may_process() const noexcept {
  if (life_ != Life::open || held_ || authenticating_) return false;
  if (exchange_ == nullptr) return true;
  const HttpExchange& x = *exchange_;
  return !x.queue.full() && x.queue.bytes() + x.sending.size() < server_.options_.output_bytes_max;
}

std::size_t HttpConnection::process(std::string_view bytes) noexcept {
  http::RequestParser& parser = exchange().parser;
  std::size_t at = 0;
  while (at < bytes.size() && may_process()) {
    const auto fed = parser.feed(bytes.substr(at));
    at += fed.consumed;
    if (fed.status == http::ParseStatus::failed) {
      refuse(parser.error());
      return bytes.size();
    }
    if (fed.status == http::ParseStatus::more) {
      if (parser.in_body()) begin_body();
      continue;
    }
    if (!handle(parser.request())) break;
  }
  return at;
}

void HttpConnection::resume() noexcept {
  if (life_ != Life::open || !held_ || authenticating_) return;
  held_ = false;
  if (handle(exchange().parser.request()) && life_ == Life::open) return advance({});
  after_events();
}

// --- bytes out
// -------------------------------------------------------------------------------------

void HttpConnection::on_ack(std::uint64_t detail, bool stored) noexcept {
  if (exchange_ == nullptr) return;
  ResponseQueue& queue = exchange_->queue;
  queue.settle(static_cast<std::uint32_t>(detail >> 32U), static_cast<std::uint32_t>(detail),
               stored);
  if (queue.front_ready()) server_.want_flush(slot_);
}

void HttpConnection::send_ready() noexcept {
  HttpExchange& x = *exchange_;
  if (!x.sending.empty()) return;
  if (!x.queue.take_ready(x.sending, *this)) {
    server_.metrics_.count(HttpRefusal::memory);
    return close();
  }
  if (x.sending.empty()) return;
  server_.metrics_.sent_bytes.add(x.sending.size());
  via_->send(stream_, std::as_bytes(std::span(x.sending.view())));
}

void HttpConnection::flush() noexcept {
  if (life_ != Life::open && life_ != Life::finishing) return;
  if (exchange_ != nullptr) {
    send_ready();
    if (life_ == Life::open && !exchange_->backlog.empty() && may_process()) advance({});
  }
  if (life_ != Life::open && life_ != Life::finishing) return;
  const bool between = exchange_ == nullptr || exchange_->parser.idle();
  const bool over = life_ == Life::finishing || peer_ended_ || (server_.draining_ && between);
  if (over && at_rest()) return finish();
  after_events();
}

void HttpConnection::on_sent(io::Errno error) noexcept {
  if (error != 0) return close();
  exchange_->sending.clear();
  phase_ = Phase::none;
  if (life_ == Life::closed) return;
  // Nothing else to do is what nearly always follows.
  if (life_ == Life::open && !peer_ended_ && !server_.draining_ && at_rest()) return after_events();
  server_.want_flush(slot_);
}

// --- what every event ends with
// ----------------------------------------------------------------------

bool HttpConnection::at_rest() const noexcept {
  if (held_ || authenticating_) return false;
  return exchange_ == nullptr ||
         (exchange_->queue.empty() && exchange_->sending.empty() && exchange_->backlog.empty());
}

void HttpConnection::after_events() noexcept {
  if (life_ == Life::free || life_ == Life::closed) return;
  if (exchange_ != nullptr && exchange_->queue.front_ready() && exchange_->sending.empty()) {
    server_.want_flush(slot_);
  }
  const bool discarding = life_ == Life::lingering || (life_ == Life::finishing && linger_);
  const bool next = may_process() && (exchange_ == nullptr || exchange_->backlog.empty());
  const bool wanted = !peer_ended_ && (discarding || next);
  if (wanted != receiving_) {
    receiving_ = wanted;
    if (wanted) via_->receive_start(stream_);
    if (!wanted && !peer_ended_) via_->receive_stop(stream_);
  }
  if (exchange_ != nullptr && life_ == Life::open && at_rest() && exchange_->parser.idle()) {
    server_.exchanges_.give_back(std::move(exchange_));
  }
  watch();
}

}  // namespace tocsin::ingress
