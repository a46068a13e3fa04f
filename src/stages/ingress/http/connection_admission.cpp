// What decides about a request before its body is read.
#include <tuple>

#include "protocol/http/authorization.hpp"
#include "stages/ingress/http/content_coding.hpp"
#include "stages/ingress/http/paths.hpp"
#include "stages/ingress/http/server.hpp"

namespace tocsin::ingress {
namespace {

// How long an identity is trusted on its connection without asking again: what has been revoked
// goes on for as long, at most.
constexpr Duration identity_kept = std::chrono::seconds(10);

constexpr Problem foreign_host{
    .status = 403,
    .name = "host",
    .title = "Unknown host",
    .detail = "the Host header names neither this machine nor one of http.host_names"};
constexpr Problem foreign_origin{.status = 403,
                                 .name = "origin",
                                 .title = "Foreign origin",
                                 .detail = "web pages of other origins may not send events"};
constexpr Problem expectation{.status = 417,
                              .name = "expectation",
                              .title = "Unknown expectation",
                              .detail = "only 100-continue can be expected"};
constexpr Problem encoding{.status = 415,
                           .name = "content_encoding",
                           .title = "Unsupported content encoding",
                           .detail = "a body is sent as it is, or with gzip"};
constexpr Problem unauthorized{
    .status = 401, .name = "credentials", .title = "Missing or wrong credentials"};
constexpr Problem forbidden{.status = 403, .name = "forbidden", .title = "Not allowed"};
constexpr Problem busy{
    .status = 503, .name = "busy", .title = "Too many authentications; try again"};

constexpr std::string_view challenges =
    "WWW-Authenticate: Bearer realm=\"tocsin\"\r\n"
    "WWW-Authenticate: Basic realm=\"tocsin\", charset=\"UTF-8\"\r\n";

}  // namespace

HttpConnection::Admission HttpConnection::admit(const http::Request& request,
                                                Answer& refusal) noexcept {
  const HeadPlan* const plan = server_.plans_.of(request);
  if (plan != nullptr && plan->guarded[loopback_ ? 1 : 0]) {
    const bool known = server_.authenticator_ == nullptr || is_known(plan->proof);
    return known ? Admission::go : authenticate(request, refusal);
  }
  const Admission checked = check(request, refusal);
  if (checked != Admission::go || server_.authenticator_ == nullptr) return checked;
  if (route_of(request.path) == HttpRoute::other) return Admission::go;
  return authenticate(request, refusal);
}

bool HttpConnection::is_known(const Hash128& proof) const noexcept {
  return client_ != nullptr && client_->identity != nullptr && client_->proof == proof &&
         server_.loop_.now() < client_->valid_until;
}

HttpConnection::Admission HttpConnection::check(const http::Request& request,
                                                Answer& refusal) noexcept {
  const auto refused = [&](HttpRefusal reason, const Problem& problem, std::string_view extra) {
    server_.metrics_.count(reason);
    refusal = server_.composer_.problem(problem, extra);
    return Admission::refuse;
  };
  switch (server_.guard_.check(request, loopback_)) {
    case GuardVerdict::foreign_host:
      return refused(HttpRefusal::foreign_host, foreign_host, {});
    case GuardVerdict::foreign_origin:
      return refused(HttpRefusal::foreign_origin, foreign_origin, {});
    case GuardVerdict::allowed:
      break;
  }
  if (request.unknown_expectation) return refused(HttpRefusal::expectation, expectation, {});
  if (route_of(request.path) == HttpRoute::other) return Admission::go;
  if (request.method != http::Method::post) {
    return refused(HttpRefusal::method, not_allowed, "Allow: POST\r\n");
  }
  if (coding_of(*request.headers) == ContentCoding::unknown) {
    return refused(HttpRefusal::encoding, encoding, "Accept-Encoding: gzip\r\n");
  }
  return Admission::go;
}

HttpConnection::Admission HttpConnection::authenticate(const http::Request& request,
                                                       Answer& refusal) noexcept {
  const auto shown = authorization_of(*request.headers);
  const Hash128 proof = hash128(shown.value_or(std::string_view{}), server_.proof_seed_);
  if (shown && is_known(proof)) return Admission::go;
  HttpClient& known = client();
  known.identity.reset();
  known.proof = proof;
  known.shown = !shown || !shown->empty();
  const auto parsed = shown ? http::Authorization::parse(*shown) : std::nullopt;
  if (known.shown && !parsed) {
    return judge({.ticket = 0, .result = flow::AuthResult::bad_credentials, .identity = {}},
                 refusal);
  }
  flow::Credentials credentials;
  credentials.certificate_name = known.certificate_name;
  credentials.peer = peer_;
  if (parsed && parsed->scheme() == http::Authorization::Scheme::bearer) {
    credentials.token = parsed->token();
  } else if (parsed) {
    credentials.has_username = credentials.has_password = true;
    credentials.username = parsed->user();
    credentials.password = parsed->password();
  }
  if (const auto answer = server_.authenticate(credentials, slot_, generation_)) {
    return judge(*answer, refusal);
  }
  authenticating_ = true;
  return Admission::wait;
}

HttpConnection::Admission HttpConnection::judge(const flow::AuthAnswer& answer,
                                                Answer& refusal) noexcept {
  const auto refused = [&](HttpRefusal reason, const Problem& problem, std::string_view extra) {
    server_.metrics_.count(reason);
    refusal = server_.composer_.problem(problem, extra);
    return Admission::refuse;
  };
  switch (answer.verdict()) {
    case flow::AuthResult::accepted:
      client().identity = answer.identity;
      client().valid_until = server_.loop_.now() + identity_kept;
      return Admission::go;
    case flow::AuthResult::not_authorized:
      // Whoever has shown nothing may try again with something.
      if (client().shown) return refused(HttpRefusal::forbidden, forbidden, {});
      break;
    case flow::AuthResult::busy:
      return refused(HttpRefusal::busy, busy, {});
    case flow::AuthResult::bad_credentials:
      break;
  }
  return refused(HttpRefusal::credentials, unauthorized, challenges);
}

HttpConnection::Admission HttpConnection::check_quota(Answer& refusal) noexcept {
  // Whoever does not ask sends the body anyway; to read it keeps the connection.
  http::RequestParser& parser = exchange_->parser;
  if (!parser.awaits_continue() || route_of(parser.head().path) == HttpRoute::other) {
    return Admission::go;
  }
  const Sender from = sender();
  const MonoTime now = server_.loop_.now();
  const auto wait = from.take(0, now);
  if (!wait) return Admission::go;
  refusal = server_.composer_.over_quota(from, *wait, now);
  return Admission::refuse;
}

void HttpConnection::on_authenticated(const flow::AuthAnswer& answer) noexcept {
  if (!authenticating_) return;
  authenticating_ = false;
  if (life_ != Life::open) return;
  Answer refusal;
  Admission admission = judge(answer, refusal);
  http::RequestParser& parser = exchange_->parser;
  if (held_) {
    held_ = false;
    admitted_ = admission == Admission::go;
    if (!admitted_) {
      std::ignore = exchange_->queue.begin();
      respond(parser.request(), refusal);
    }
    if (admitted_ && !handle(parser.request())) return after_events();
  } else {
    if (admission == Admission::go) admission = check_quota(refusal);
    admitted_ = admission == Admission::go;
    if (admitted_) answer_continue();
    if (!admitted_) refuse(refusal, parser.head().path);
  }
  if (life_ == Life::open) return advance({});
  after_events();
}

HttpClient& HttpConnection::client() noexcept {
  if (client_ == nullptr) client_ = std::make_unique<HttpClient>();
  return *client_;
}

Sender HttpConnection::sender() const noexcept {
  flow::Quotas* const quotas = server_.quotas_;
  return {.identity = client_ == nullptr ? nullptr : client_->identity.get(),
          .peer = peer_,
          .quotas = quotas != nullptr && quotas->enabled() ? quotas : nullptr};
}

}  // namespace tocsin::ingress
