#include "stages/deliver/channels/webhook/connection.hpp"

#include <cassert>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "stages/deliver/channels/webhook/classify.hpp"

namespace tocsin::deliver {
namespace {

// An answer's body tells us nothing that the status does not; what is over this is not read.
constexpr http::Limits response_limits{
    .head_size_max = 16 * 1024, .body_size_max = 16 * 1024, .chunk_extra_max = 2048};

// For a closing alert to a peer that does not read.
constexpr Duration goodbye_max = std::chrono::milliseconds{200};

}  // namespace

WebhookConnection::WebhookConnection(flow::Loop& loop, Owner& owner, const Settings& settings,
                                     Url url, std::uint64_t id)
    : loop_(loop),
      owner_(owner),
      settings_(settings),
      url_(std::move(url)),
      id_(id),
      parser_(response_limits, nullptr) {}

WebhookConnection::~WebhookConnection() { loop_.disarm(*this); }

bool WebhookConnection::idle_for(const Url& url) const noexcept {
  return state_ == State::idle && same_origin(url, url_);
}

void WebhookConnection::start(std::string request) {
  assert(!busy_ && (state_ == State::fresh || state_ == State::idle));
  busy_ = true;
  request_ = std::move(request);
  loop_.arm(*this, loop_.now() + settings_.attempt_timeout);
  if (state_ == State::idle) {
    reused_ = true;
    send_request();
  } else {
    state_ = State::resolving;
    owner_.resolve(*this, url_);
  }
}

void WebhookConnection::on_resolved(const io::ResolveResult& result) {
  if (state_ != State::resolving) return;
  if (!result) {
    // Even "not found" may be a resolver that is not up yet: the policy bounds how often we ask.
    fail(Verdict::transient, DeliveryError::dns,
         fmt::format("{}: {}", url_.host, to_string(result.error())));
    return;
  }
  addresses_.clear();
  for (const io::Endpoint& endpoint : *result) {
    if (settings_.egress->permits(endpoint)) addresses_.push_back(endpoint);
  }
  if (addresses_.empty()) {
    fail(Verdict::permanent, DeliveryError::refused_address,
         fmt::format("{} is {}, which is not a public address and not in egress_allow", url_.host,
                     to_string(result->front())));
    return;
  }
  next_address_ = 0;
  connect_next();
}

void WebhookConnection::connect_next() {
  while (next_address_ < addresses_.size()) {
    const auto stream = loop_.io().connect(addresses_[next_address_++], *this);
    if (stream) {
      stream_ = *stream;
      state_ = State::connecting;
      return;
    }
    last_error_ = stream.error();
  }
  fail(Verdict::transient, DeliveryError::connect,
       fmt::format("{}: {}", url_.authority(), errno_text(last_error_)));
}

void WebhookConnection::on_connected(io::Errno error) noexcept {
  if (state_ != State::connecting) return;
  if (error != 0) {
    last_error_ = error;
    if (next_address_ < addresses_.size()) {
      reconnect();
    } else {
      fail(Verdict::transient, DeliveryError::connect,
           fmt::format("{}: {}", url_.authority(), errno_text(error)));
    }
    return;
  }
  loop_.io().receive_start(stream_);
  if (url_.tls) {
    begin_tls();
  } else {
    send_request();
  }
}

void WebhookConnection::begin_tls() {
  auto tls = io::make_tls_client(*settings_.tls, url_.host);
  if (!tls) {
    fail(Verdict::permanent, DeliveryError::tls, tls.error());
    return;
  }
  tls_ = std::move(*tls);
  state_ = State::handshaking;
  flush();
}

void WebhookConnection::send_request() {
  parser_.start(false);
  state_ = State::sending;
  if (tls_) {
    if (tls_->send(std::as_bytes(std::span{request_})) == io::TlsState::failed) {
      fail(Verdict::transient, DeliveryError::tls, tls_->error());
      return;
    }
  } else {
    pending_ += request_;
  }
  flush();
}

void WebhookConnection::flush() {
  if (tls_) pending_ += tls_->take_outgoing();
  if (sending_ || pending_.empty() || state_ == State::closing) return;
  outgoing_.swap(pending_);
  pending_.clear();
  sending_ = true;
  loop_.io().send(stream_, std::as_bytes(std::span{outgoing_}));
}

void WebhookConnection::on_sent(io::Errno error) noexcept {
  sending_ = false;
  if (std::exchange(leaving_, false)) {
    loop_.disarm(*this);
    loop_.io().close(stream_);
    return;
  }
  if (error != 0) {
    broken_ = true;
    return;  // on_end tells the rest.
  }
  if (state_ == State::sending && pending_.empty()) state_ = State::waiting;
  flush();
}

void WebhookConnection::on_data(std::span<const std::byte> bytes) noexcept {
  if (state_ == State::closing) return;
  if (!tls_) {
    on_plaintext({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return;
  }
  const io::TlsState state = tls_->receive(bytes);
  if (state == io::TlsState::failed) {
    fail(Verdict::transient, DeliveryError::tls, tls_->error());
    return;
  }
  if (state_ == State::handshaking && state == io::TlsState::open) {
    send_request();
  } else {
    flush();
  }
  const std::string plain = tls_->take_plaintext();
  if (!plain.empty()) on_plaintext(plain);
  if (state == io::TlsState::closed && state_ != State::closing) on_end(0);
}

void WebhookConnection::on_plaintext(std::string_view bytes) {
  if (!busy_ || state_ == State::handshaking) {
    close();  // Bytes that nobody asked for.
    return;
  }
  const auto fed = parser_.feed(bytes);
  if (fed.status == http::ParseStatus::failed) {
    fail(Verdict::transient, DeliveryError::protocol, "the answer is not valid HTTP");
  } else if (fed.status == http::ParseStatus::complete) {
    on_response();
    if (fed.consumed < bytes.size() && state_ != State::closing) close();
  }
}

void WebhookConnection::on_response() {
  const http::Response& response = parser_.response();
  const bool keep = response.keep_alive && !response.body_cut && !sending_ && pending_.empty();
  Attempt attempt = classify_status(response.status, response.header("retry-after").value_or(""),
                                    loop_.io().wall_now());
  if (keep) {
    state_ = State::idle;
    loop_.arm(*this, loop_.now() + settings_.idle_timeout);
  } else {
    close();
  }
  finish(std::move(attempt));
}

void WebhookConnection::on_end(io::Errno error) noexcept {
  if (state_ == State::closing || state_ == State::gone) return;
  broken_ = error != 0;
  if (!busy_) {
    close();
    return;
  }
  // A kept connection that the peer closed just as we used it: nothing was processed, begin again.
  if (reused_ && (state_ == State::sending || state_ == State::waiting) && parser_.idle()) {
    next_address_ = 0;
    reconnect();
    return;
  }
  if (error == 0 && state_ == State::waiting && parser_.finish() == http::ParseStatus::complete) {
    on_response();
    return;
  }
  fail(Verdict::transient, DeliveryError::reset,
       error == 0 ? "the peer closed the connection before it answered" : errno_text(error));
}

void WebhookConnection::reconnect() {
  reused_ = false;
  reconnecting_ = true;
  close();
}

void WebhookConnection::on_timer(MonoTime /*now*/) noexcept {
  if (std::exchange(leaving_, false)) {
    loop_.io().close(stream_);
    return;
  }
  if (busy_) {
    fail(Verdict::transient, DeliveryError::timeout, "no answer in time");
  } else {
    close();
  }
}

void WebhookConnection::shut_down() {
  if (busy_) {
    fail(Verdict::transient, DeliveryError::shutdown, "shutting down");
  } else {
    close();
  }
}

void WebhookConnection::fail(Verdict verdict, DeliveryError error, std::string detail) {
  reconnecting_ = false;
  close();
  finish({.verdict = verdict, .error = error, .retry_after = {}, .detail = std::move(detail)});
}

void WebhookConnection::finish(Attempt attempt) {
  if (!busy_) return;
  busy_ = false;
  reused_ = false;
  owner_.on_exchange(*this, std::move(attempt));
}

void WebhookConnection::close() {
  if (state_ == State::closing || state_ == State::gone) return;
  const bool connected =
      state_ != State::fresh && state_ != State::resolving && stream_.slot != UINT32_MAX;
  state_ = State::closing;
  if (!reconnecting_) loop_.disarm(*this);
  if (connected) {
    if (!say_goodbye()) loop_.io().close(stream_);
  } else {
    state_ = State::gone;
    owner_.on_gone(*this);
  }
}

// close_notify (RFC 5246 section 7.2.1), without which a peer cannot tell our end from an
// attacker's; or the alert that says why a handshake failed.
bool WebhookConnection::say_goodbye() {
  if (!tls_ || sending_ || broken_ || reconnecting_) return false;
  tls_->close();
  pending_ += tls_->take_outgoing();
  if (pending_.empty()) return false;
  outgoing_.swap(pending_);
  pending_.clear();
  sending_ = leaving_ = true;
  loop_.arm(*this, loop_.now() + goodbye_max);
  loop_.io().send(stream_, std::as_bytes(std::span{outgoing_}));
  return true;
}

void WebhookConnection::on_closed() noexcept {
  stream_ = {};
  tls_.reset();
  sending_ = leaving_ = broken_ = false;
  pending_.clear();
  if (reconnecting_ && busy_) {
    reconnecting_ = false;
    // No stream now: if every connect fails at once, close() must see that there is none.
    state_ = State::resolving;
    connect_next();
    return;
  }
  state_ = State::gone;
  owner_.on_gone(*this);
}

}  // namespace tocsin::deliver
