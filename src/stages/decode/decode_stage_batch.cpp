// Batch bodies and metrics of DecodeStage.
#include "stages/decode/decode_stage.hpp"
#include "stages/decode/refuse_json.hpp"

namespace tocsin::decode {
namespace {

using flow::EntryVerdicts;
using flow::RawEvent;
using flow::Refusal;
using flow::Rejection;

bool blank(std::string_view line) noexcept {
  for (const char c : line) {
    if (!json::is_space(c)) return false;
  }
  return true;
}

// Takes the next line that is not blank off `rest`; empty at the end.
std::string_view take_line(std::string_view& rest) noexcept {
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!blank(line)) return line;
  }
  return {};
}

// Counts at most one more than may be.
std::uint32_t count_elements(json::Value array) noexcept {
  std::uint32_t n = 0;
  for (json::Elements elements(array); n <= batch_entries_max && elements.next();) ++n;
  return n;
}

std::uint32_t count_lines(std::string_view text) noexcept {
  std::uint32_t n = 0;
  while (n <= batch_entries_max && !take_line(text).empty()) ++n;
  return n;
}

constexpr Rejection too_many{.reason = Refusal::entries,
                             .detail = "a batch holds at most 1000 events"};

}  // namespace

Result<std::uint32_t, Rejection> DecodeStage::refuse_body(const Rejection& rejection) noexcept {
  received_.add();
  refused_[static_cast<std::size_t>(rejection.reason)].add();
  return Unexpected{rejection};
}

Result<std::uint32_t, Rejection> DecodeStage::add_all(const RawEvent& event, flow::BatchForm form,
                                                      EntryVerdicts& verdicts) noexcept {
  // What has been taken in part is answered entry by entry.
  if (draining_ && event.first_entry == 0) {
    return refuse_body({.reason = Refusal::shutting_down, .detail = "the server is shutting down"});
  }
  if (event.payload.size() > body_size_max_) {
    return refuse_body({.reason = Refusal::too_large, .detail = "the body is too large"});
  }
  if (event.envelope == flow::Envelope::cloudevents_binary) {
    return refuse_body(
        {.reason = Refusal::content_type, .detail = "binary mode carries one event"});
  }
  RawEvent entry = event;
  entry.content_type = {};  // It was the body's.
  return form == flow::BatchForm::array ? add_array(entry, verdicts) : add_lines(entry, verdicts);
}

Result<std::uint32_t, Rejection> DecodeStage::add_array(RawEvent event,
                                                        EntryVerdicts& verdicts) noexcept {
  const auto document = validator_.validate(event.payload);
  if (!document) return refuse_body(refuse_json(document.error()).error);
  const json::Value root = document->root();
  if (root.kind() != json::Kind::array) {
    return refuse_body({.reason = Refusal::entries, .detail = "a batch is a JSON array"});
  }
  const std::uint32_t count = count_elements(root);
  if (count > batch_entries_max) return refuse_body(too_many);
  if (const auto check = verdicts.on_count(count); !check) return refuse_body(check.error());
  std::uint32_t index = 0;
  for (json::Elements elements(root); elements.next(); ++index) {
    if (index < event.first_entry) continue;
    const json::Value value = elements.value();
    event.payload = value.text();
    if (!add_entry(event, &value, index, verdicts)) break;
  }
  return index;
}

Result<std::uint32_t, Rejection> DecodeStage::add_lines(RawEvent event,
                                                        EntryVerdicts& verdicts) noexcept {
  std::string_view rest = event.payload;
  const std::uint32_t count = count_lines(rest);
  if (count == 0) return refuse_body({.reason = Refusal::empty, .detail = "there is no event"});
  if (count > batch_entries_max) return refuse_body(too_many);
  if (const auto check = verdicts.on_count(count); !check) return refuse_body(check.error());
  std::uint32_t index = 0;
  for (; index < count; ++index) {
    event.payload = take_line(rest);
    if (index < event.first_entry) continue;
    if (!add_entry(event, nullptr, index, verdicts)) break;
  }
  return index;
}

bool DecodeStage::add_entry(const RawEvent& event, const json::Value* root, std::uint32_t index,
                            EntryVerdicts& verdicts) noexcept {
  const flow::AckToken token = verdicts.token(index);
  const Outcome outcome = decode(event, root, token);
  const bool no_room = !outcome && outcome.error().reason == Refusal::capacity;
  if (no_room && verdicts.postpone(index)) return false;
  verdicts.on_entry(index, outcome);
  return true;
}

void DecodeStage::describe(MetricSink& sink) const {
  sink.counter("tocsin_events_received_total",
               "Events that reached decode: decoded or refused. A refused body counts once.", {},
               received_.get());
  sink.counter("tocsin_events_decoded_total", "Events that became records.", {}, decoded_.get());
  sink.counter("tocsin_events_acknowledged_total", "Events that reached their level.", {},
               batches_.acknowledged());
  sink.counter("tocsin_events_turned_away_total",
               "Times an event found no memory free. It is not counted as received: its sender, or "
               "the protocol on its behalf, tries again.",
               {}, turned_away_.get());
  for (std::size_t i = 0; i < flow::refusal_count; ++i) {
    const auto reason = static_cast<Refusal>(i);
    const std::uint64_t count =
        reason == Refusal::commit_failed ? batches_.commit_failed() : refused_[i].get();
    sink.counter("tocsin_events_refused_total",
                 "Events not accepted, by reason. commit_failed ones were decoded before.",
                 {{"reason", flow::to_string(reason)}}, count);
  }
  sink.histogram("tocsin_stage_seconds", "Time that events take to a stage's end.",
                 {{"stage", "ack"}}, batches_.ack_time());
}

}  // namespace tocsin::decode
