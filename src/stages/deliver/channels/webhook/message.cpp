#include "stages/deliver/channels/webhook/message.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "base/hash.hpp"
#include "base/names.hpp"
#include "base/uuid.hpp"
#include "protocol/json/text.hpp"
#include "protocol/json/validator.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::deliver {
namespace {

void append_member(std::string& out, std::string_view name, std::string_view value) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
  json::append_string(out, value);
}

// A body that is itself a JSON object or array goes in as such, so that receivers need not parse a
// string inside a string.
void append_body(std::string& out, std::string_view body, json::Validator& validator) {
  const std::size_t at = body.find_first_not_of(" \t\r\n");
  if (at != body.npos && (body[at] == '{' || body[at] == '[')) {
    std::string padded(body);
    padded.append(json_padding, ' ');
    if (validator.validate(std::string_view(padded).substr(0, body.size()))) {
      out += ",\"body\":";
      out += body;
      return;
    }
  }
  append_member(out, "body", body);
}

void append_notification(std::string& out, const OutgoingNotification& n,
                         json::Validator& validator) {
  const UuidText id = uuid_text(n.id.hi, n.id.lo);
  const UuidText event_id = uuid_text(n.event_id.hi, n.event_id.lo);
  fmt::format_to(std::back_inserter(out), "{{\"id\":\"{}\",\"event_id\":\"{}\"", view(id),
                 view(event_id));
  append_member(out, "event_type", n.event_type);
  append_member(out, "rule", n.rule);
  append_member(out, "severity", name_of(n.severity));
  append_member(out, "priority", name_of(n.priority));
  append_member(out, "subject", n.subject);
  append_body(out, n.body, validator);
  out += '}';
}

// Standard Webhooks allows [a-zA-Z0-9_.] in a type.
std::string safe_type(std::string_view type) {
  std::string safe(type);
  std::ranges::replace_if(
      safe, [](unsigned char c) { return std::isalnum(c) == 0 && c != '_' && c != '.'; }, '_');
  return safe.empty() ? "event" : safe;
}

std::string timestamp_text(WallTime now) {
  const std::time_t seconds = static_cast<std::time_t>(to_us(now) / 1'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     to_us(now) / 1000 % 1000);
}

bool is_token_char(unsigned char c) noexcept {
  return std::isalnum(c) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
}

}  // namespace

bool header_acceptable(std::string_view header) noexcept {
  const std::size_t colon = header.find(':');
  if (colon == 0 || colon == header.npos) return false;
  const std::string_view name = header.substr(0, colon);
  const std::string_view value = header.substr(colon + 1);
  if (!std::ranges::all_of(name, is_token_char)) return false;
  if (std::ranges::any_of(value, [](unsigned char c) { return c < 0x20 || c >= 0x7F; })) {
    return false;
  }
  constexpr std::array own{
      "host",       "content-length",    "content-type",      "connection",    "transfer-encoding",
      "webhook-id", "webhook-timestamp", "webhook-signature", "authorization", "traceparent",
      "user-agent"};
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), ascii_lower);
  return std::ranges::find(own, lower) == own.end();
}

std::string message_id(std::span<const OutgoingNotification> notifications) {
  NotificationId id = notifications.front().id;
  if (notifications.size() > 1) {
    // In an order of their own: after a restart the same notifications may come in another.
    std::vector<std::string> texts;
    for (const auto& n : notifications) texts.emplace_back(view(uuid_text(n.id.hi, n.id.lo)));
    std::ranges::sort(texts);
    const std::string ids = fmt::format("{}", fmt::join(texts, ""));
    id = {.hi = hash64(ids, 1), .lo = hash64(ids, 2)};
  }
  return fmt::format("msg_{:016x}{:016x}", id.hi, id.lo);
}

std::string standard_body(std::span<const OutgoingNotification> notifications, WallTime now,
                          json::Validator& validator) {
  const bool batch = notifications.size() > 1;
  std::string body = fmt::format(
      R"({{"type":"{}","timestamp":"{}","data":)",
      batch ? "tocsin.batch" : safe_type(notifications.front().event_type), timestamp_text(now));
  if (batch) body += '[';
  for (std::size_t i = 0; i < notifications.size(); ++i) {
    if (i > 0) body += ',';
    append_notification(body, notifications[i], validator);
  }
  body += batch ? "]}" : "}";
  return body;
}

std::string build_request(const Url& url, const MessageStyle& style,
                          std::span<const OutgoingNotification> notifications, WallTime now,
                          json::Validator& validator) {
  const std::string body = style.raw ? std::string(notifications.front().body)
                                     : standard_body(notifications, now, validator);
  const std::string id = message_id(notifications);
  const std::int64_t timestamp_s = to_us(now) / 1'000'000;
  std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: tocsin\r\nContent-Type: {}\r\n"
      "Content-Length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {}\r\n",
      url.target, url.authority(), style.raw ? style.content_type : "application/json", body.size(),
      id, timestamp_s);
  auto out = std::back_inserter(request);
  if (!style.secrets.empty()) {
    fmt::format_to(out, "webhook-signature: {}\r\n",
                   signature_header(style.secrets, id, timestamp_s, body));
  }
  if (!style.authorization.empty()) {
    fmt::format_to(out, "Authorization: {}\r\n", style.authorization);
  }
  if (!notifications.front().traceparent.empty()) {
    fmt::format_to(out, "traceparent: {}\r\n", notifications.front().traceparent);
  }
  for (const std::string& header : style.headers) fmt::format_to(out, "{}\r\n", header);
  request += "\r\n";
  request += body;
  return request;
}

}  // namespace tocsin::deliver
