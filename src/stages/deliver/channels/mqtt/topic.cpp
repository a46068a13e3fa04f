#include "stages/deliver/channels/mqtt/topic.hpp"

#include <algorithm>

#include "base/uuid.hpp"
#include "flow/hub.hpp"
#include "flow/sources.hpp"
#include "protocol/json/text.hpp"

namespace tocsin::deliver {
namespace {

constexpr std::size_t topic_size_max = 65'535;

void append_member(std::string& out, std::string_view key, std::string_view value) {
  out += ",\"";
  out += key;
  out += "\":";
  json::append_string(out, value);
}

}  // namespace

std::string make_topic(std::string_view pattern, std::string_view recipient,
                       const OutgoingNotification& notification) {
  std::string topic;
  while (!pattern.empty()) {
    const std::size_t brace = pattern.find('{');
    topic += pattern.substr(0, brace);
    if (brace == pattern.npos) break;
    pattern.remove_prefix(brace);
    bool replaced = false;
    for (const auto& [name, value] : {std::pair{std::string_view{"{rule}"}, notification.rule},
                                      {std::string_view{"{recipient}"}, recipient},
                                      {std::string_view{"{type}"}, notification.event_type}}) {
      if (!pattern.starts_with(name)) continue;
      topic += value;
      pattern.remove_prefix(name.size());
      replaced = true;
      break;
    }
    if (replaced) continue;
    topic += '{';
    pattern.remove_prefix(1);
  }
  return topic;
}

bool topic_allowed(std::string_view topic, bool own_listener) noexcept {
  if (!flow::topic_name_valid(topic) || topic.size() > topic_size_max) return false;
  if (topic[0] == '$') return false;
  const bool controls = std::any_of(topic.begin(), topic.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (controls) return false;
  if (!own_listener) return true;
  return topic.size() > flow::notification_topic_prefix.size() &&
         topic.starts_with(flow::notification_topic_prefix);
}

std::string make_payload(std::span<const OutgoingNotification> notifications) {
  if (notifications.size() == 1) return std::string(notifications.front().body);
  std::string out = "[";
  for (const OutgoingNotification& n : notifications) {
    if (out.size() > 1) out += ',';
    out += "{\"id\":\"";
    out += view(uuid_text(n.id.hi, n.id.lo));
    out += "\",\"event_id\":\"";
    out += view(uuid_text(n.event_id.hi, n.event_id.lo));
    out += '"';
    append_member(out, "rule", n.rule);
    append_member(out, "type", n.event_type);
    append_member(out, "subject", n.subject);
    append_member(out, "body", n.body);
    out += '}';
  }
  out += ']';
  return out;
}

}  // namespace tocsin::deliver
