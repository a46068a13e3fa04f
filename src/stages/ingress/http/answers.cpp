#include "stages/ingress/http/answers.hpp"

#include <algorithm>

#include "base/uuid.hpp"
#include "protocol/json/text.hpp"
#include "stages/ingress/http/quota_fields.hpp"

namespace tocsin::ingress {
namespace {

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

std::uint16_t batch_status(std::uint32_t accepted, std::uint32_t refused, std::uint32_t no_capacity,
                           std::uint32_t over_quota) noexcept {
  if (refused == 0) return 202;
  if (accepted > 0) return 207;
  if (no_capacity == refused) return 503;
  return over_quota == refused ? 429 : 422;
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

std::string_view AnswerComposer::quoted(std::string_view type) noexcept {
  if (type_ != type || quoted_type_.empty()) {
    type_ = type;
    quoted_type_.clear();
    json::append_string(quoted_type_, type);
  }
  return quoted_type_;
}

std::optional<Answer> AnswerComposer::take_events(const http::Request& request, EventRoute route,
                                                  const Task& task) noexcept {
  const auto level = requested_level(request);
  if (!level) {
    metrics_.count(HttpRefusal::acknowledgement);
    return problem(level.error());
  }
  auto trigger = reader_.read(request, route);
  if (!trigger) return refusal(trigger.error());
  trigger->event.level = *level;
  return take_events(*trigger, task);
}

std::optional<Answer> AnswerComposer::take_events(Trigger trigger, const Task& task) noexcept {
  trigger.event.sender = task.sender.identity;
  if (trigger.form) return take_batch(trigger.event, *trigger.form, task);
  return take_one(trigger.event, task);
}

Answer AnswerComposer::problem(const Problem& problem, std::string_view extra) noexcept {
  start_text();
  append_problem(text_, problem);
  if (extra.empty() && problem.status == 503) extra = retry_soon;
  return {
      .status = problem.status, .content_type = problem_media_type, .body = text_, .extra = extra};
}

Answer AnswerComposer::over_quota(const Sender& sender, Duration wait, MonoTime now) noexcept {
  metrics_.count(flow::Refusal::quota);
  fields_.clear();
  append_quota_fields(fields_, wait, sender.quotas->look(sender.key(), sender.peer, now));
  return problem(problem_of({.reason = flow::Refusal::quota,
                             .detail = "the client sends more events than it may",
                             .retry_after = wait}),
                 fields_);
}

Answer AnswerComposer::refusal(const flow::Rejection& rejection) noexcept {
  metrics_.count(rejection.reason);
  fields_.clear();
  if (rejection.reason == flow::Refusal::quota) {
    append_quota_fields(fields_, rejection.retry_after, {});
  }
  return problem(problem_of(rejection), fields_);
}

std::optional<Answer> AnswerComposer::take_one(const flow::RawEvent& event,
                                               const Task& task) noexcept {
  if (const auto wait = task.sender.take(1, task.now)) {
    return over_quota(task.sender, *wait, task.now);
  }
  task.queue.expect_ack();  // Before the call: an acknowledgement may come from inside it.
  const auto outcome = intake_.add(event, task.token);
  if (!outcome) {
    task.queue.unexpect_ack();
    if (wants_patience(outcome.error().reason)) task.sender.give_back(1, task.now);
    if (outcome.error().reason == flow::Refusal::capacity && task.keeper.keep(0, {}, {})) {
      return std::nullopt;
    }
    return refusal(outcome.error());
  }
  start_text();
  text_ += '{';
  text_ += triggered;
  text_ += quoted(outcome->type);
  if (event.envelope == flow::Envelope::api && !outcome->data.empty()) {
    text_ += ",\"payload\":";
    text_ += outcome->data;
  }
  text_ += ",\"id\":\"";
  text_ += view(uuid_text(outcome->id.hi, outcome->id.lo));
  text_ += "\"}";
  return Answer{
      .status = 202, .content_type = json_media_type, .body = text_, .kind = AnswerKind::single};
}

/// Writes one line per entry, so that not_stored() can replace an entry without parsing.
class AnswerComposer::Verdicts final : public flow::EntryVerdicts {
 public:
  Verdicts(AnswerComposer& composer, const Task& task) : composer_(composer), task_(task) {
    const RequestProgress* const before = task.keeper.progress();
    resumed_ = before != nullptr;
    if (resumed_) tally = before->tally;
  }

  Result<void, flow::Rejection> on_count(std::uint32_t entries) noexcept override {
    if (entries == 0 || resumed_) return {};
    tally.client_wait = task_.sender.take(entries, task_.now);
    if (!tally.client_wait) {
      tally.charged = entries;
      return {};
    }
    return Unexpected{
        flow::Rejection{.reason = flow::Refusal::quota, .retry_after = *tally.client_wait}};
  }

  bool postpone(std::uint32_t index) noexcept override {
    if (!task_.keeper.keep(index, tally, composer_.text_)) return false;
    task_.queue.unexpect_ack();
    postponed = true;
    return true;
  }

  flow::AckToken token(std::uint32_t index) noexcept override {
    task_.queue.expect_ack();
    flow::AckToken token = task_.token;
    token.detail |= index;
    return token;
  }

  void on_entry(std::uint32_t,
                const Result<flow::Accepted, flow::Rejection>& verdict) noexcept override {
    std::string& text = composer_.text_;
    text += tally.accepted + tally.refused == 0 ? "\n" : ",\n";
    if (verdict) {
      ++tally.accepted;
      text += "{\"id\":\"";
      text += view(uuid_text(verdict->id.hi, verdict->id.lo));
      text += "\"}";
      return;
    }
    task_.queue.unexpect_ack();
    ++tally.refused;
    if (verdict.error().reason == flow::Refusal::quota) {
      ++tally.over_quota;
      tally.source_wait = std::max(tally.source_wait, verdict.error().retry_after);
    }
    if (wants_patience(verdict.error().reason)) ++tally.no_capacity;
    composer_.metrics_.count(verdict.error().reason);
    text += "{\"error\":";
    append_problem(text, problem_of(verdict.error()));
    text += '}';
  }

  BatchTally tally;
  bool postponed = false;

 private:
  AnswerComposer& composer_;
  const Task& task_;
  bool resumed_;
};

std::optional<Answer> AnswerComposer::take_batch(flow::RawEvent event, flow::BatchForm form,
                                                 const Task& task) noexcept {
  start_text();
  if (const RequestProgress* const before = task.keeper.progress()) {
    text_ += before->text.view();
    event.first_entry = before->next;
  } else {
    text_ += '[';
  }
  Verdicts verdicts(*this, task);
  const auto outcome = intake_.add_all(event, form, verdicts);
  if (verdicts.postponed) return std::nullopt;
  const BatchTally& tally = verdicts.tally;
  if (tally.client_wait) return over_quota(task.sender, *tally.client_wait, task.now);
  if (!outcome) {
    task.queue.expect_no_ack();
    if (wants_patience(outcome.error().reason)) task.sender.give_back(tally.charged, task.now);
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
  task.sender.give_back(tally.no_capacity, task.now);
  text_ += "\n]";
  const std::uint16_t status =
      batch_status(tally.accepted, tally.refused, tally.no_capacity, tally.over_quota);
  fields_.clear();
  if (status == 503) fields_ = retry_soon;
  if (status == 429) append_quota_fields(fields_, tally.source_wait, {});
  return Answer{.status = status,
                .content_type = json_media_type,
                .body = text_,
                .extra = fields_,
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
