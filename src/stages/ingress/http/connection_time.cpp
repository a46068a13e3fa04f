// Deadlines of a connection.
#include "stages/ingress/http/server.hpp"

namespace tocsin::ingress {
namespace {

// How long the answer to a request that we refused to read may take to reach the client.
constexpr Duration linger_time = std::chrono::seconds(1);

constexpr Problem timed_out{.status = 408, .name = "timeout", .title = "Request timeout"};
constexpr Problem busy{
    .status = 503, .name = "busy", .title = "Authentication takes too long; try again"};

}  // namespace

HttpConnection::Phase HttpConnection::phase() const noexcept {
  if (life_ == Life::lingering) return Phase::lingering;
  if (exchange_ == nullptr) return life_ == Life::finishing ? Phase::waiting : Phase::idle;
  if (!exchange_->sending.empty()) return Phase::sending;
  if (authenticating_ && life_ == Life::open) return Phase::authenticating;
  if (held_ || !exchange_->queue.empty() || life_ == Life::finishing) return Phase::waiting;
  if (exchange_->parser.in_body()) return Phase::body;
  return exchange_->parser.idle() ? Phase::idle : Phase::head;
}

Duration HttpConnection::phase_limit(Phase phase) const noexcept {
  switch (phase) {
    case Phase::idle:
      return server_.options_.idle_timeout;
    case Phase::head:
    case Phase::authenticating:
      return server_.options_.head_timeout;
    case Phase::body:
      return server_.options_.body_timeout;
    case Phase::sending:
      return server_.options_.send_timeout;
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
  AnswerComposer& composer = server_.composer_;
  switch (phase_) {
    case Phase::head:
    case Phase::body:
      server_.metrics_.count(phase_ == Phase::head ? HttpRefusal::head_timeout
                                                   : HttpRefusal::body_timeout);
      refuse(composer.problem(timed_out), {});
      return after_events();
    case Phase::authenticating:
      server_.metrics_.count(HttpRefusal::busy);
      refuse(composer.problem(busy), {});
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
