#include "stages/render/renderer.hpp"

#include <array>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

#include <tocsin/limits.hpp>

#include "base/names.hpp"
#include "base/uuid.hpp"
#include "protocol/json/text.hpp"
#include "stages/render/writer.hpp"

namespace tocsin::render {
namespace {

using TimeText = std::array<char, 32>;

/// RFC 3339 in UTC with milliseconds; empty for years that it cannot write.
std::string_view write_time(std::int64_t us, TimeText& buffer) noexcept {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::microseconds> time{std::chrono::microseconds{us}};
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{floor<std::chrono::milliseconds>(time) - day};
  const int year = static_cast<int>(date.year());
  if (year < 0 || year > 9999) return {};
  const auto end = fmt::format_to_n(
      buffer.data(), buffer.size(), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", year,
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
      clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
  return {buffer.data(), end.size};
}

/// The producer's time, else when the event got its id, which is a UUIDv7.
std::int64_t event_time_us(const RecordHeader& header) noexcept {
  if (header.producer_time_us != producer_time_absent) return header.producer_time_us;
  return static_cast<std::int64_t>(header.id.hi >> 16U) * 1000;
}

void write_payload(Writer& writer, const RenderInput& input, bool quoted) {
  if (input.document) {
    writer.value(*input.document, quoted);
  } else {
    writer.text(input.record.payload(), quoted);
  }
}

void write_reserved(Writer& writer, const RenderInput& input, const Segment& segment) {
  const RecordHeader& header = input.record.header();
  TimeText time;
  switch (segment.reserved) {
    case Reserved::payload:
      return write_payload(writer, input, segment.quoted);
    case Reserved::event_id:
      return writer.text(view(uuid_text(header.id.hi, header.id.lo)), segment.quoted);
    case Reserved::event_type:
      return writer.text(input.record.attribute(AttributeTag::type), segment.quoted);
    case Reserved::event_source:
      return writer.text(input.record.attribute(AttributeTag::source), segment.quoted);
    case Reserved::event_subject:
      return writer.text(input.record.attribute(AttributeTag::subject), segment.quoted);
    case Reserved::event_time:
      return writer.text(write_time(event_time_us(header), time), segment.quoted);
    case Reserved::event_severity:
      return writer.text(name_of(input.severity), segment.quoted);
    case Reserved::event_priority:
      return writer.text(name_of(input.priority), segment.quoted);
    case Reserved::rule_name:
      return writer.text(input.rule, segment.quoted);
    case Reserved::none:
      break;
  }
  if (const auto value = input.record.extension(segment.name)) {
    writer.text(*value, segment.quoted);
  } else {
    writer.missing(segment.quoted);
  }
}

void write_variable(Writer& writer, const RenderInput& input, const Segment& segment) {
  if (input.document && segment.reserved != Reserved::payload) {
    if (const auto value = segment.path.find(*input.document)) {
      return writer.value(*value, segment.quoted);
    }
  }
  write_reserved(writer, input, segment);
}

// A subject ends up in headers, where a line break would begin another one.
void make_one_line(std::string& text) noexcept {
  for (char& c : text) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
}

}  // namespace

Result<std::shared_ptr<const TemplateSet>, std::string> TemplateSet::compile(
    std::span<const flow::RuleConfig> rules, const EscapeOf& escape_of) {
  auto set = std::make_shared<TemplateSet>();
  set->rules_.reserve(rules.size());
  for (const flow::RuleConfig& rule : rules) {
    auto subject = Template::compile(rule.subject);
    if (!subject) {
      return Unexpected{fmt::format("rule \"{}\": subject: {}", rule.name, subject.error())};
    }
    auto body = Template::compile(rule.body);
    if (!body) return Unexpected{fmt::format("rule \"{}\": body: {}", rule.name, body.error())};
    set->rules_.push_back({rule.name, std::move(*subject), std::move(*body), escape_of(rule)});
  }
  return std::shared_ptr<const TemplateSet>(std::move(set));
}

bool render_template(const Template& text, Escape escape, const RenderInput& input,
                     std::size_t size_max, std::string& out) {
  BoundedText bounded(out, size_max);
  Writer writer(bounded, escape);
  for (const Segment& segment : text.segments()) {
    writer.literal(segment.literal);
    if (segment.variable) write_variable(writer, input, segment);
    if (bounded.full()) break;
  }
  return bounded.finish();
}

void Renderer::render(std::uint32_t rule, const RecordView& record,
                      const std::optional<json::Value>& document, Priority priority,
                      Severity severity, std::string& subject, std::string& body) {
  const RuleTemplates& templates = templates_->rule(rule);
  const RenderInput input{record, document, templates.rule, priority, severity};
  rendered_.add();
  // A subject is never part of the body's format: what carries it escapes it.
  if (render_template(templates.subject, Escape::none, input, notification_subject_max, subject)) {
    subjects_cut_.add();
  }
  make_one_line(subject);
  bool body_cut = false;
  if (templates.body.empty()) {
    BoundedText bounded(body, notification_body_max);
    Writer(bounded, Escape::none).text(record.payload(), true);
    body_cut = bounded.finish();
  } else {
    body_cut =
        render_template(templates.body, templates.escape, input, notification_body_max, body);
  }
  if (body_cut) bodies_cut_.add();
}

void Renderer::describe(MetricSink& sink) const {
  sink.counter("tocsin_notifications_rendered_total", "Notifications that were rendered.", {},
               rendered_.get());
  constexpr std::string_view help = "Rendered texts that were cut at their bound.";
  sink.counter("tocsin_render_cut_total", help, {{"part", "subject"}}, subjects_cut_.get());
  sink.counter("tocsin_render_cut_total", help, {{"part", "body"}}, bodies_cut_.get());
}

}  // namespace tocsin::render
