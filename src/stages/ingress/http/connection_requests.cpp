// Requests of a connection, and the responses to them.
#include <tuple>

#include "stages/ingress/http/content_coding.hpp"
#include "stages/ingress/http/paths.hpp"
#include "stages/ingress/http/server.hpp"

namespace tocsin::ingress {
namespace {

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

constexpr Problem not_found{.status = 404, .name = "not_found", .title = "Not found"};
constexpr Problem corrupt{.status = 400,
                          .name = "compressed",
                          .title = "Malformed body",
                          .detail = "the body is not gzip, or not all of it"};
constexpr Problem expands{.status = 413,
                          .name = "expanded",
                          .title = "Body too large",
                          .detail = "the body stands for more bytes than it may"};

}  // namespace

void HttpConnection::begin_body() noexcept {
  if (!admitted_) {
    const http::Request& head = exchange_->parser.head();
    Answer refusal;
    Admission admission = admit(head, refusal);
    if (admission == Admission::go) admission = check_quota(refusal);
    if (admission == Admission::wait) return;
    if (admission == Admission::refuse) return refuse(refusal, head.path);
    admitted_ = true;
  }
  answer_continue();
}

void HttpConnection::answer_continue() noexcept {
  HttpExchange& x = *exchange_;
  if (continued_ || !x.parser.awaits_continue() || x.queue.full()) return;
  continued_ = true;
  std::ignore = x.queue.begin();
  // Without memory for it the client sends the body after a second all the same.
  std::ignore = x.queue.text().append("HTTP/1.1 100 Continue\r\n\r\n");
  x.queue.end(AnswerKind::final, http::Persistence::implied);
}

bool HttpConnection::handle(const http::Request& request) noexcept {
  if (!admitted_) {
    Answer refusal;
    switch (admit(request, refusal)) {
      case Admission::go:
        break;
      case Admission::wait:
        return !keep_request();
      case Admission::refuse:
        std::ignore = exchange_->queue.begin();
        respond(request, refusal);
        return true;
    }
  }
  if ((server_.intake_.ready() || route_of(request.path) == HttpRoute::other) && respond(request)) {
    return true;
  }
  admitted_ = true;
  if (!keep_request()) return true;
  server_.hold(slot_);
  return false;
}

bool HttpConnection::keep_request() noexcept {
  held_ = exchange_->parser.keep();
  if (!held_) refuse(http::ParseError::memory);
  return held_;
}

bool HttpConnection::respond(const http::Request& request) noexcept {
  ResponseQueue& queue = exchange_->queue;
  const std::uint32_t ordinal = progress_ != nullptr ? progress_->ordinal : queue.begin();
  if (route_of(request.path) == HttpRoute::other) {
    respond(request, ask_router(request));
    return true;
  }
  const std::optional<Answer> answer = take_events(request, ordinal);
  if (!answer) {
    progress_->ordinal = ordinal;
    return false;
  }
  progress_.reset();
  respond(request, *answer);
  return true;
}

void HttpConnection::respond(const http::Request& request, const Answer& answer) noexcept {
  const bool last = !request.keep_alive || server_.draining_;
  http::Persistence persistence = http::Persistence::implied;
  if (!request.http11) persistence = http::Persistence::keep_alive;
  if (last) persistence = http::Persistence::close;
  phase_ = Phase::none;  // The next request gets its own time.
  admitted_ = continued_ = false;
  put(answer, request.path, persistence, request.method == http::Method::head);
  if (last && life_ == Life::open) life_ = Life::finishing;
}

std::optional<Answer> HttpConnection::take_events(http::Request request,
                                                  std::uint32_t ordinal) noexcept {
  AnswerComposer& composer = server_.composer_;
  const HeadPlan* const plan = server_.plans_.of(request);
  const ContentCoding coding = plan != nullptr ? plan->coding : coding_of(*request.headers);
  if (coding == ContentCoding::gzip) {
    if (const auto problem = expand(request)) return composer.problem(*problem);
  }
  const flow::AckToken token{.sink = &server_,
                             .slot = slot_,
                             .generation = generation_,
                             .detail = std::uint64_t{ordinal} << 32U};
  const Sender from = sender();
  const AnswerComposer::Task task{.sender = from,
                                  .now = server_.loop_.now(),
                                  .token = token,
                                  .queue = exchange_->queue,
                                  .keeper = *this};
  std::optional<Answer> answer;
  if (plan != nullptr) {
    Trigger trigger = plan->trigger;
    trigger.event.payload = request.body;
    answer = composer.take_events(trigger, task);
  } else {
    const bool single = route_of(request.path) == HttpRoute::events;
    answer = composer.take_events(request, single ? EventRoute::single : EventRoute::batch, task);
  }
  if (coding == ContentCoding::gzip) server_.expanded_.clear();
  return answer;
}

bool HttpConnection::keep(std::uint32_t next, const BatchTally& tally,
                          std::string_view text) noexcept {
  if (!exchange_->parser.keep()) return false;
  auto progress = std::make_unique<RequestProgress>(server_.budget_);
  if (!progress->text.append(text)) return false;
  progress->next = next;
  progress->tally = tally;
  progress_ = std::move(progress);
  return true;
}

std::optional<Problem> HttpConnection::expand(http::Request& request) noexcept {
  ByteBuffer& out = server_.expanded_;
  const http::GzipLimits limits{.size_max = server_.options_.body_size_max,
                                .ratio_max = server_.options_.gzip_ratio_max};
  http::GzipStatus status = server_.gzip_.decode(request.body, limits, out);
  if (status == http::GzipStatus::memory && server_.reclaim()) {
    status = server_.gzip_.decode(request.body, limits, out);
  }
  if (status == http::GzipStatus::ok) {
    request.body = out.view();
    return std::nullopt;
  }
  out.clear();
  switch (status) {
    case http::GzipStatus::memory:
      server_.metrics_.count(HttpRefusal::memory);
      return problem_of_parse(http::ParseError::memory);
    case http::GzipStatus::too_large:
      server_.metrics_.count(HttpRefusal::expanded);
      return expands;
    default:
      server_.metrics_.count(HttpRefusal::compressed);
      return corrupt;
  }
}

Answer HttpConnection::ask_router(const http::Request& request) noexcept {
  AnswerComposer& composer = server_.composer_;
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

void HttpConnection::put(const Answer& answer, std::string_view path, http::Persistence persistence,
                         bool head_only) noexcept {
  server_.metrics_.count(route_of(path), answer.status);
  ResponseQueue& queue = exchange_->queue;
  const bool written = write(answer, persistence, head_only, queue.text());
  queue.end(answer.kind, persistence);
  if (written) return;
  // An answer that cannot be given must not be taken for another's: the connection goes.
  server_.metrics_.count(HttpRefusal::memory);
  close();
}

bool HttpConnection::write(const Answer& answer, http::Persistence persistence, bool head_only,
                           ByteBuffer& out) noexcept {
  if (answer.status == 202 && persistence == http::Persistence::implied && answer.extra.empty() &&
      !head_only && answer.content_type == json_media_type) {
    const http::PreparedHead& head = server_.accepted_head();
    return head.append(out, answer.body) || (server_.reclaim() && head.append(out, answer.body));
  }
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
  refuse(server_.composer_.problem(problem_of_parse(error)), {});
}

void HttpConnection::refuse(const Answer& answer, std::string_view path) noexcept {
  held_ = authenticating_ = false;  // An answer that still comes is for nobody.
  ResponseQueue& queue = exchange().queue;
  // A response that is half composed cannot be passed by.
  if (queue.full() || progress_ != nullptr) return close();
  std::ignore = queue.begin();
  put(answer, path, http::Persistence::close, false);
  if (life_ == Life::closed) return;
  life_ = Life::finishing;
  linger_ = true;
}

}  // namespace tocsin::ingress
