#include "stages/ingress/subscription/link.hpp"
#include "base/errno_text.hpp"

#include <cassert>
#include <utility>

#include <fmt/format.h>

#include <tocsin/limits.hpp>

namespace tocsin::ingress {
BrokerLink::BrokerLink(flow::Loop& loop, Owner& owner, flow::BrokerUri uri, io::Resolver* resolver,
                       io::TlsClientContext* tls)
    : loop_(loop), owner_(owner), uri_(std::move(uri)), resolver_(resolver), tls_context_(tls) {
  assert(uri_.tls == (tls != nullptr));
}

void BrokerLink::open() noexcept {
  assert(state_ == State::idle);
  why_.clear();
  state_ = State::resolving;
  if (const auto address = io::parse_address(uri_.host, uri_.port)) {
    return on_resolved(std::vector{*address});
  }
  if (resolver_ == nullptr) return close("no resolver");
  looking_up_ = true;
  resolver_->resolve(uri_.host, uri_.port, [this](io::ResolveResult result) {
    loop_.post({.to = this,
                .kind = 0,
                .arg = 0,
                .object = std::make_unique<io::ResolveResult>(std::move(result)).release()});
  });
}

void BrokerLink::on_message(const flow::Message& message) noexcept {
  const std::unique_ptr<io::ResolveResult> result(static_cast<io::ResolveResult*>(message.object));
  looking_up_ = false;
  if (state_ == State::closing) return go_down();
  on_resolved(*result);
}

void BrokerLink::on_resolved(const io::ResolveResult& result) noexcept {
  assert(state_ == State::resolving);
  if (!result) return close(fmt::format("{}: {}", uri_.host, to_string(result.error())));
  addresses_ = *result;
  next_address_ = 0;
  why_ = "no address";
  connect_next();
}

void BrokerLink::connect_next() noexcept {
  while (next_address_ < addresses_.size()) {
    const auto stream = loop_.io().connect(addresses_[next_address_++], *this);
    if (stream) {
      stream_ = *stream;
      state_ = State::connecting;
      return;
    }
    why_ = errno_text(stream.error());
  }
  close(std::exchange(why_, {}));
}

void BrokerLink::on_connected(io::Errno error) noexcept {
  if (state_ != State::connecting) return;
  if (error != 0) {
    trying_next_ = next_address_ < addresses_.size();
    return close(errno_text(error));
  }
  loop_.io().receive_start(*stream_);
  if (tls_context_ != nullptr) return begin_tls();
  state_ = State::open;
  owner_.on_link_up();
}

void BrokerLink::begin_tls() noexcept {
  auto tls = io::make_tls_client(*tls_context_, uri_.host);
  if (!tls) return close(tls.error());
  tls_ = std::move(*tls);
  state_ = State::handshaking;
  flush_tls();
}

void BrokerLink::flush_tls() noexcept {
  pending_ += tls_->take_outgoing();
  if (!sending_) start_sending();
}

void BrokerLink::start_sending() noexcept {
  if (pending_.empty()) return;
  outgoing_.clear();
  outgoing_.swap(pending_);
  sending_ = true;
  loop_.io().send(*stream_, std::as_bytes(std::span{outgoing_}));
}

void BrokerLink::send(std::string& bytes) noexcept {
  assert(can_send() && !bytes.empty());
  told_sent_ = false;
  if (tls_) {
    const io::TlsState state = tls_->send(std::as_bytes(std::span{bytes}));
    bytes.clear();
    if (state == io::TlsState::failed) return close(tls_->error());
    return flush_tls();
  }
  pending_.clear();
  pending_.swap(bytes);
  start_sending();
}

void BrokerLink::send_last(std::string& bytes, std::string_view why) noexcept {
  if (!can_send()) return close(why);
  last_ = true;
  why_ = why;
  loop_.io().receive_stop(*stream_);
  if (tls_ && !bytes.empty()) (void)tls_->send(std::as_bytes(std::span{bytes}));
  if (tls_) tls_->close();
  pending_ += tls_ ? tls_->take_outgoing() : std::exchange(bytes, {});
  if (pending_.empty()) return close(why);
  start_sending();
}

void BrokerLink::on_sent(io::Errno error) noexcept {
  sending_ = false;
  if (state_ == State::closing || error != 0) return;  // on_end tells the rest.
  if (!pending_.empty()) return start_sending();
  if (last_) return close(std::exchange(why_, {}));
  if (state_ == State::open && !std::exchange(told_sent_, true)) owner_.on_link_sent();
}

void BrokerLink::on_data(std::span<const std::byte> bytes) noexcept {
  if (last_ || (state_ != State::open && state_ != State::handshaking)) return;
  if (tls_) return on_ciphertext(bytes);
  owner_.on_link_data({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void BrokerLink::on_ciphertext(std::span<const std::byte> bytes) noexcept {
  const io::TlsState state = tls_->receive(bytes);
  if (state == io::TlsState::failed) return close(tls_->error());
  flush_tls();
  if (state_ == State::handshaking && state == io::TlsState::open) {
    state_ = State::open;
    owner_.on_link_up();
  }
  if (state_ != State::open) return;
  std::string plain = tls_->take_plaintext();
  if (!plain.empty()) {
    const std::size_t size = plain.size();
    plain.append(json_padding, '\0');
    owner_.on_link_data({plain.data(), size});
  }
  if (state == io::TlsState::closed) close("connection lost");
}

void BrokerLink::on_end(io::Errno error) noexcept {
  close(error == 0 ? std::string("connection lost") : errno_text(error));
}

void BrokerLink::receive(bool wanted) noexcept {
  if (state_ != State::open || last_) return;
  if (wanted) {
    loop_.io().receive_start(*stream_);
  } else {
    loop_.io().receive_stop(*stream_);
  }
}

void BrokerLink::close(std::string_view why) noexcept {
  if (state_ == State::idle) return;
  if (state_ == State::closing) {
    trying_next_ = false;
    return;
  }
  state_ = State::closing;
  why_ = why;
  if (stream_) {
    loop_.io().close(*stream_);
  } else if (!looking_up_) {
    go_down();
  }
}

void BrokerLink::on_closed() noexcept {
  stream_.reset();
  go_down();
}

void BrokerLink::go_down() noexcept {
  tls_.reset();
  pending_.clear();
  sending_ = last_ = false;
  told_sent_ = true;
  if (std::exchange(trying_next_, false)) {
    state_ = State::resolving;
    return connect_next();
  }
  state_ = State::idle;
  const std::string why = std::exchange(why_, {});
  owner_.on_link_down(why);
}

}  // namespace tocsin::ingress
