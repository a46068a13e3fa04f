#include "stages/ingress/http/server.hpp"
#include "base/errno_text.hpp"

#include <fmt/format.h>

#include <cassert>

namespace tocsin::ingress {
namespace {

constexpr std::size_t expanded_kept_max = 64 * 1024;
constexpr std::uint32_t message_authenticated = 1;

Hash128 random_hash(io::Io& io) noexcept {
  Hash128 hash;
  io.random(std::as_writable_bytes(std::span{&hash, 1}));
  return hash;
}

}  // namespace

HttpServer::HttpServer(flow::Loop& loop, flow::Intake& intake, HttpOptions options, Log log,
                       HttpRouter& router)
    : loop_(loop),
      intake_(intake),
      options_(std::move(options)),
      log_(std::move(log)),
      router_(router),
      budget_(options_.carry_bytes_max),
      guard_(options_.host_names),
      composer_(intake, options_.head_size_max, metrics_),
      expanded_(&budget_, expanded_kept_max),
      proof_seed_(random_hash(loop.io())),
      heads_(proof_seed_.hi),
      plans_(guard_, proof_seed_),
      exchanges_(options_, budget_) {
  loop_.add_ticker(*this);
  intake_.add_ready_listener(*this);
}

HttpServer::~HttpServer() {
  loop_.disarm(*this);
  loop_.remove_ticker(*this);
  for (const auto& connection : connections_) loop_.disarm(*connection);
}

Result<void, std::string> HttpServer::start(std::span<const io::Endpoint> endpoints, bool shared) {
  for (const io::Endpoint& endpoint : endpoints) {
    auto listener = std::make_unique<Listener>(*this);
    io::AcceptHandler* handler = listener.get();
    if (gate_ != nullptr) {
      gated_.push_back(std::make_unique<io::GatedListener>(*listener, *gate_));
      handler = gated_.back().get();
    }
    const auto id = loop_.io().listen(endpoint, shared, *handler);
    if (!id) {
      return Unexpected{fmt::format("cannot listen for HTTP on {}: {}", io::to_string(endpoint),
                                    errno_text(id.error()))};
    }
    listener->id = *id;
    listener->endpoint = loop_.io().local_endpoint(*id);
    listeners_.push_back(std::move(listener));
  }
  return {};
}

std::vector<io::Endpoint> HttpServer::endpoints() const {
  std::vector<io::Endpoint> all;
  for (const auto& listener : listeners_) all.push_back(listener->endpoint);
  return all;
}

io::StreamHandler* HttpServer::accept(io::StreamControl& via, io::StreamId stream,
                                      const io::Endpoint& peer,
                                      std::string_view certificate_name) noexcept {
  return admit(via, stream, {.endpoint = peer, .certificate_name = certificate_name});
}

io::StreamHandler* HttpServer::admit(io::StreamControl& via, io::StreamId stream,
                                     const HttpConnection::Peer& peer) noexcept {
  if (draining_ || (expected_ != nullptr ? expected_() : 0) >= room()) {
    metrics_.count(HttpRefusal::connections);
    return nullptr;
  }
  if (free_slots_.empty()) {
    const auto slot = static_cast<std::uint32_t>(connections_.size());
    connections_.push_back(std::make_unique<HttpConnection>(*this, slot));
    free_slots_.push_back(slot);
  }
  HttpConnection& connection = *connections_[free_slots_.back()];
  free_slots_.pop_back();
  ++open_count_;
  metrics_.opened.add();
  connection.open(via, stream, peer);
  return &connection;
}

void HttpServer::accept_failed(io::Errno error) noexcept {
  log_->warn("http: cannot accept connections: {}", errno_text(error));
}

void HttpServer::closed(std::uint32_t slot) noexcept {
  assert(open_count_ > 0);
  --open_count_;
  metrics_.closed.add();
  free_slots_.push_back(slot);
}

void HttpServer::on_ack(const flow::AckToken& token, bool stored) noexcept {
  assert(token.sink == this && token.slot < connections_.size());
  HttpConnection& connection = *connections_[token.slot];
  // The client may be gone; its slot may even have a new one.
  if (connection.generation() != token.generation) return;
  connection.on_ack(token.detail, stored);
}

void HttpServer::want_flush(std::uint32_t slot) noexcept {
  HttpConnection& connection = *connections_[slot];
  if (connection.flush_listed) return;
  connection.flush_listed = true;
  // Acknowledgements may come from a ticker that runs after ours in this turn: the timer keeps the
  // loop from sleeping on them.
  if (to_flush_.empty() && !armed()) loop_.arm(*this, loop_.now());
  to_flush_.push_back(slot);
}

void HttpServer::hold(std::uint32_t slot) noexcept {
  HttpConnection& connection = *connections_[slot];
  if (connection.hold_listed) return;
  connection.hold_listed = true;
  held_.push_back(slot);
}

MonoTime HttpServer::on_tick(MonoTime) noexcept {
  flushing_.swap(to_flush_);
  loop_.disarm(*this);
  for (const std::uint32_t slot : flushing_) {
    connections_[slot]->flush_listed = false;
    connections_[slot]->flush();
  }
  flushing_.clear();
  return MonoTime::max();
}

void HttpServer::on_ready() noexcept {
  // A resumed connection may have to wait again, and then stands in held_ anew.
  resuming_.swap(held_);
  for (const std::uint32_t slot : resuming_) {
    connections_[slot]->hold_listed = false;
    connections_[slot]->resume();
  }
  resuming_.clear();
}

void HttpServer::drain() noexcept {
  draining_ = true;
  for (const auto& listener : listeners_) loop_.io().close_listener(listener->id);
  listeners_.clear();
  for (const auto& connection : connections_) connection->drain();
}

void HttpServer::close_all() noexcept {
  for (const auto& connection : connections_) connection->close();
  reclaim();
}

bool HttpServer::reclaim() noexcept {
  const std::size_t before = budget_.used();
  exchanges_.clear();
  if (expanded_.empty()) expanded_.release();
  return budget_.used() < before;
}

std::unique_ptr<flow::AuthAnswer> HttpServer::authenticate(const flow::Credentials& credentials,
                                                           std::uint32_t slot,
                                                           std::uint32_t generation) noexcept {
  const std::uint64_t ticket = std::uint64_t{generation} << 32U | slot;
  auto answer = authenticator_->authenticate(
      credentials, ticket, {.loop = &loop_, .receiver = this, .kind = message_authenticated});
  if (answer == nullptr) ++authenticating_;
  return answer;
}

void HttpServer::on_message(const flow::Message& message) noexcept {
  assert(message.kind == message_authenticated && authenticating_ > 0);
  const std::unique_ptr<flow::AuthAnswer> answer(static_cast<flow::AuthAnswer*>(message.object));
  --authenticating_;
  HttpConnection& connection = *connections_[static_cast<std::uint32_t>(answer->ticket)];
  // The client may be gone; its slot may even have a new one.
  if (connection.generation() != answer->ticket >> 32U) return;
  connection.on_authenticated(*answer);
}

std::string_view HttpServer::date() noexcept {
  // Once a turn: a clock is read by a call that costs as much as the head it is for.
  if (date_read_at_ == loop_.now()) return date_text_;
  date_read_at_ = loop_.now();
  // RFC 9110 section 6.6.1: no clock, no Date.
  date_text_ = loop_.io().wall_trusted() ? date_.at(loop_.io().wall_now()) : std::string_view{};
  return date_text_;
}

const http::PreparedHead& HttpServer::accepted_head() noexcept {
  const std::string_view now = date();
  if (!accepted_.is_of(now)) accepted_.make(202, json_media_type, now);
  return accepted_;
}

}  // namespace tocsin::ingress
