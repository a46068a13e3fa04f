#include "stages/route/router.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>

#include <tocsin/limits.hpp>

#include "protocol/json/text.hpp"

namespace tocsin::route {
namespace {

bool recipient_valid(std::string_view recipient) noexcept {
  if (recipient.empty() || recipient.size() > recipient_size_max) return false;
  return std::ranges::none_of(
      recipient, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7F'; });
}

Result<Route, std::string> compile_route(const flow::RuleConfig& rule) {
  Route route{rule.name, rule.channel, {}, {}, rule.priority, rule.severity};
  for (const std::string& recipient : rule.recipients) {
    if (!recipient_valid(recipient)) {
      return Unexpected{fmt::format("a recipient must have 1 to {} bytes and no control characters",
                                    recipient_size_max)};
    }
    if (std::ranges::find(route.recipients, recipient) == route.recipients.end()) {
      route.recipients.push_back(recipient);
    }
  }
  if (route.recipients.size() > recipients_per_match_max) {
    return Unexpected{fmt::format("more than {} recipients", recipients_per_match_max)};
  }
  auto path = json::Path::parse(rule.recipient_field);
  if (!path) {
    return Unexpected{fmt::format("recipient_field \"{}\" {}", rule.recipient_field, path.error())};
  }
  route.recipient_path = std::move(*path);
  return route;
}

template <class Integer>
std::string_view bytes_of(const Integer& number, std::array<char, 8>& buffer) noexcept {
  // Little endian whatever the machine: the id must be the same everywhere.
  std::uint64_t rest = number;
  for (char& byte : buffer) {
    byte = static_cast<char>(rest & 0xFFU);
    rest >>= 8U;
  }
  return {buffer.data(), buffer.size()};
}

}  // namespace

std::string_view to_string(Suppression reason) noexcept {
  switch (reason) {
    case Suppression::no_recipient:
      return "no_recipient";
    case Suppression::bad_recipient:
      return "bad_recipient";
    case Suppression::too_many_recipients:
      return "too_many_recipients";
  }
  return "";
}

Result<std::shared_ptr<const RouteTable>, std::string> RouteTable::compile(
    std::span<const flow::RuleConfig> rules) {
  auto table = std::make_shared<RouteTable>();
  table->routes_.reserve(rules.size());
  for (const flow::RuleConfig& rule : rules) {
    auto route = compile_route(rule);
    if (!route) return Unexpected{fmt::format("rule \"{}\": {}", rule.name, route.error())};
    table->routes_.push_back(std::move(*route));
  }
  return std::shared_ptr<const RouteTable>(std::move(table));
}

void Router::route(const RecordView& record, const std::optional<json::Value>& document,
                   std::uint32_t rule, std::vector<Target>& out, std::string_view replay_id) {
  out.clear();
  const Route& route = table_->route(rule);
  std::array<char, 8> number;
  origin_ = hash128(bytes_of(record.header().tenant, number));
  origin_ = hash128(route.rule, origin_);
  origin_ = hash128(bytes_of(record.header().id.hi, number), origin_);
  origin_ = hash128(bytes_of(record.header().id.lo, number), origin_);
  origin_ = hash128(replay_id, origin_);
  origin_ = hash128(route.channel, origin_);
  for (const std::string& recipient : route.recipients) add(recipient, out);
  if (!route.recipient_path.empty()) {
    add_from_field(route, document, out);
  } else if (route.recipients.empty()) {
    add({}, out);
  }
}

void Router::add_from_field(const Route& route, const std::optional<json::Value>& document,
                            std::vector<Target>& out) {
  const auto value = document ? route.recipient_path.find(*document) : std::optional<json::Value>();
  // What is unescaped is never longer than its text, so the views into it do not move.
  if (value) {
    const std::size_t size = value->text().size();
    if (scratch_.size() < size) scratch_.resize(size);
    scratch_used_ = 0;
  }
  const std::uint64_t before = targets_.get();
  if (value && value->kind() == json::Kind::string) {
    add_json(*value, out);
  } else if (value && value->kind() == json::Kind::array) {
    // The bound keeps the search for duplicates short, whatever an event holds.
    std::size_t count = 0;
    for (json::Elements e(*value); e.next();) {
      if (++count <= recipients_per_match_max) {
        add_json(e.value(), out);
      } else {
        targets_.add();
        suppress(Suppression::too_many_recipients);
      }
    }
  } else if (value && value->kind() != json::Kind::null) {
    targets_.add();
    suppress(Suppression::bad_recipient);
  }
  if (targets_.get() != before) return;
  targets_.add();
  suppress(Suppression::no_recipient);
}

void Router::add_json(json::Value value, std::vector<Target>& out) {
  if (value.kind() != json::Kind::string) {
    targets_.add();
    return suppress(Suppression::bad_recipient);
  }
  const auto text = json::unescape(value.raw_string(), std::span{scratch_}.subspan(scratch_used_));
  assert(text.has_value());
  if (!recipient_valid(*text)) {
    targets_.add();
    return suppress(Suppression::bad_recipient);
  }
  if (text->data() == scratch_.data() + scratch_used_) scratch_used_ += text->size();
  add(*text, out);
}

void Router::add(std::string_view recipient, std::vector<Target>& out) {
  targets_.add();
  const auto same = [&](const Target& target) { return target.recipient == recipient; };
  if (std::ranges::any_of(out, same)) return merged_.add();
  if (out.size() >= recipients_per_match_max) return suppress(Suppression::too_many_recipients);
  const Hash128 id = hash128(recipient, origin_);
  out.push_back({{id.hi, id.lo}, recipient});
  routed_.add();
}

void Router::suppress(Suppression reason) noexcept {
  suppressed_[static_cast<std::size_t>(reason)].add();
}

void Router::fill(const RecordView& record, std::uint32_t rule, const Target& target,
                  flow::Notification& notification) const {
  const Route& route = table_->route(rule);
  const RecordHeader& header = record.header();
  notification.id = target.id;
  notification.event_id = header.id;
  notification.sequence = record.sequence();
  notification.channel.assign(route.channel);
  notification.rule.assign(route.rule);
  notification.event_type.assign(record.attribute(AttributeTag::type));
  notification.recipient.assign(target.recipient);
  notification.traceparent.assign(record.attribute(AttributeTag::traceparent));
  notification.priority = route.priority.value_or(header.priority);
  notification.severity = route.severity.value_or(header.severity);
  notification.received = record.received();
}

void Router::describe(MetricSink& sink) const {
  sink.counter("tocsin_notification_targets_total",
               "Recipients that matches named: routed + suppressed + merged.", {}, targets_.get());
  sink.counter("tocsin_notifications_routed_total", "Notifications that routing asked for.", {},
               routed_.get());
  sink.counter("tocsin_notifications_merged_total", "Recipients named twice by one event and rule.",
               {}, merged_.get());
  for (std::size_t i = 0; i < suppressions; ++i) {
    sink.counter("tocsin_notifications_suppressed_total",
                 "Recipients that got no notification, by reason.",
                 {{"reason", to_string(static_cast<Suppression>(i))}}, suppressed_[i].get());
  }
}

}  // namespace tocsin::route
