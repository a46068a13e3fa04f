#include "stages/ingress/http/answers.hpp"

#include <algorithm>

#include "base/uuid.hpp"
#include "protocol/json/text.hpp"

namespace tocsin::ingress {
namespace {

constexpr std::string_view json_media_type = "application/json";
constexpr std::string_view retry_soon = "Retry-After: 1\r\n";
constexpr std::string_view triggered = "\"message\":\"Event triggered successfully.\",\"event\":";
constexpr std::size_t text_kept_max = 64 * 1024;

Problem commit_failed() noexcept {
  return problem_of({.reason = flow::Refusal::commit_failed,
                     .detail = "the event could not be written to the journal"});
}

bool wants_patience(flow::Refusal reason) noexcept {
  return reason == flow::Refusal::capacity || reason == flow::Refusal::shutting_down;
}

std::uint16_t batch_status(std::uint32_t accepted, std::uint32_t refused,
                           std::uint32_t no_capacity) noexcept {
  if (refused == 0) return 202;
  if (accepted > 0) return 207;
  return no_capacity == refused ? 503 : 422;
}

}  // namespace

AnswerComposer::AnswerComposer(flow::Intake& intake, std::size_t head_size_max,
                               HttpMetrics& metrics)
    : intake_(intake), metrics_(metrics), reader_(head_size_max) {
  text_.reserve(4096);
}

void AnswerComposer::start_text() {
  text_.clear();
  if (text_.capacity() > text_kept_max) {
    text_.shrink_to_fit();
    text_.reserve(4096);
  }
}

Answer AnswerComposer::take_events(const http::Request& request, EventRoute route,
                                   const flow::AckToken& token, ResponseQueue& queue) noexcept {
  const auto level = requested_level(request);
  if (!level) {
    metrics_.count(HttpRefusal::acknowledgement);
    return problem(level.error());
  }
  auto trigger = reader_.read(request, route);
  if (!trigger) return refusal(trigger.error());
  trigger->event.level = *level;
  if (trigger->form) return take_batch(trigger->event, *trigger->form, token, queue);
  return take_one(trigger->event, token, queue);
}

Answer AnswerComposer::problem(const Problem& problem) noexcept {
  start_text();
  append_problem(text_, problem);
  return {.status = problem.status,
          .content_type = problem_media_type,
          .body = text_,
          .extra = problem.status == 503 ? retry_soon : std::string_view{}};
}

Answer AnswerComposer::refusal(const flow::Rejection& rejection) noexcept {
  metrics_.count(rejection.reason);
  return problem(problem_of(rejection));
}

Answer AnswerComposer::take_one(const flow::RawEvent& event, const flow::AckToken& token,
                                ResponseQueue& queue) noexcept {
  queue.expect_ack();  // Before the call: an acknowledgement may come from inside it.
  const auto outcome = intake_.add(event, token);
  if (!outcome) {
    queue.unexpect_ack();
    return refusal(outcome.error());
  }
  start_text();
  text_ += '{';
  text_ += triggered;
  json::append_string(text_, outcome->type);
  if (event.envelope == flow::Envelope::api && !outcome->data.empty()) {
    text_ += ",\"payload\":";
    text_ += outcome->data;
  }
  text_ += ",\"id\":\"";
  text_ += view(uuid_text(outcome->id.hi, outcome->id.lo));
  text_ += "\"}";
  return {
      .status = 202, .content_type = json_media_type, .body = text_, .kind = AnswerKind::single};
}

/// Writes one line per entry, so that not_stored() can replace an entry without parsing.
class AnswerComposer::Verdicts final : public flow::EntryVerdicts {
 public:
  Verdicts(AnswerComposer& composer, const flow::AckToken& token, ResponseQueue& queue)
      : composer_(composer), token_(token), queue_(queue) {}

  flow::AckToken token(std::uint32_t index) noexcept override {
    queue_.expect_ack();
    flow::AckToken token = token_;
    token.detail |= index;
    return token;
  }

  void on_entry(std::uint32_t,
                const Result<flow::Accepted, flow::Rejection>& verdict) noexcept override {
    std::string& text = composer_.text_;
    text += accepted + refused == 0 ? "\n" : ",\n";
    if (verdict) {
      ++accepted;
      text += "{\"id\":\"";
      text += view(uuid_text(verdict->id.hi, verdict->id.lo));
      text += "\"}";
      return;
    }
    queue_.unexpect_ack();
    ++refused;
    if (wants_patience(verdict.error().reason)) ++no_capacity;
    composer_.metrics_.count(verdict.error().reason);
    text += "{\"error\":";
    append_problem(text, problem_of(verdict.error()));
    text += '}';
  }

  std::uint32_t accepted = 0;
  std::uint32_t refused = 0;
  std::uint32_t no_capacity = 0;

 private:
  AnswerComposer& composer_;
  const flow::AckToken& token_;
  ResponseQueue& queue_;
};

Answer AnswerComposer::take_batch(const flow::RawEvent& event, flow::BatchForm form,
                                  const flow::AckToken& token, ResponseQueue& queue) noexcept {
  start_text();
  text_ += '[';
  Verdicts verdicts(*this, token, queue);
  const auto outcome = intake_.add_all(event, form, verdicts);
  if (!outcome) {
    queue.expect_no_ack();
    metrics_.count(outcome.error().reason);
    Problem why = problem_of(outcome.error());
    const std::size_t first = event.payload.find_first_not_of(" \t\r\n");
    const bool entries = form == flow::BatchForm::ndjson ||
                         (first != event.payload.npos && event.payload[first] == '[');
    if (outcome.error().reason == flow::Refusal::entries && entries) {
      why.status = 413;
      why.title = "Too many entries";
    }
    return problem(why);
  }
  text_ += "\n]";
  const std::uint16_t status =
      batch_status(verdicts.accepted, verdicts.refused, verdicts.no_capacity);
  return {.status = status,
          .content_type = json_media_type,
          .body = text_,
          .extra = status == 503 ? retry_soon : std::string_view{},
          .kind = AnswerKind::batch};
}

Answer AnswerComposer::not_stored(std::string_view response, AnswerKind kind,
                                  std::span<const std::uint32_t> failed) noexcept {
  metrics_.count(flow::Refusal::commit_failed, failed.size());
  if (kind != AnswerKind::batch) return problem(commit_failed());
  start_text();
  std::string_view body = response.substr(response.find("\r\n\r\n") + 4);
  bool any_stored = false;
  // The first line is the opening bracket; line 1 is entry 0; the last is the closing bracket.
  for (std::uint32_t line_number = 0; !body.empty(); ++line_number) {
    const std::size_t end = std::min(body.find('\n'), body.size() - 1) + 1;
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(end);
    const bool hit =
        line_number > 0 && std::find(failed.begin(), failed.end(), line_number - 1) != failed.end();
    if (!hit) {
      any_stored = any_stored || line.starts_with("{\"id\"");
      text_ += line;
      continue;
    }
    text_ += "{\"error\":";
    append_problem(text_, commit_failed());
    text_ += line.ends_with(",\n") ? "},\n" : "}\n";
  }
  const std::uint16_t status = any_stored ? 207 : 503;
  return {.status = status,
          .content_type = json_media_type,
          .body = text_,
          .extra = status == 503 ? retry_soon : std::string_view{}};
}

}  // namespace tocsin::ingress
