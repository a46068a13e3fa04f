#pragma once
// What people configure, as plain data: produced by control/config, compiled by the stages into
// their immutable snapshots.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/event.hpp>
#include <tocsin/option.hpp>

namespace tocsin::flow {

/// Where a resource stands in its file, for messages.
struct Origin {
  std::string file;
  std::uint32_t line = 0;
  bool operator==(const Origin&) const { return true; }  // Moving a table changes nothing.
};

struct SourceConfig {
  std::string name;
  std::string topic;  ///< MQTT filter; "{name}" is a "+" that captures the level as an attribute.
  std::string type;   ///< Event type of device events; empty = the source's name.
  std::string description;
  Level level = Level::stored;
  Priority priority = Priority::normal;
  Severity severity = Severity::info;
  std::uint32_t rate = 0;   ///< Events a second; 0: no limit.
  std::uint32_t burst = 0;  ///< Events at once; 0: those of one second.
  bool active = true;
  Origin origin{};
  bool operator==(const SourceConfig&) const = default;
};

struct RuleConfig {
  std::string name;
  std::string source;                   ///< Name of an event source, or empty for every source.
  std::string pattern;                  ///< Event pattern as JSON text; empty = everything.
  std::string channel;                  ///< Name of a channel.
  std::string subject;                  ///< Template.
  std::string body;                     ///< Template.
  std::vector<std::string> recipients;  ///< Fixed recipients.
  std::string recipient_field;          ///< Path in the payload that holds a recipient.
  std::optional<Priority> priority;     ///< Overrides the event's.
  std::optional<Severity> severity;
  bool active = true;
  Origin origin{};
  bool operator==(const RuleConfig&) const = default;
};

struct ChannelConfig {
  std::string name;
  std::string type;       ///< Folder name below deliver/channels.
  OptionValues delivery;  ///< deliver's own options (batching, retries, queue bound).
  OptionValues options;   ///< The channel type's options.
  Origin origin{};
  bool operator==(const ChannelConfig&) const = default;
};

/// A subscription to an existing broker.
struct SubscriptionConfig {
  std::string name;
  OptionValues options;
  Origin origin{};
  bool operator==(const SubscriptionConfig&) const = default;
};

}  // namespace tocsin::flow
