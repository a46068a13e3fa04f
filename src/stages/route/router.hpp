#pragma once
// From a match to its notifications: the stage `route`. Finds the recipients, gives each
// notification its id, and says why one does not come into being.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/event.hpp>
#include <tocsin/result.hpp>

#include "base/hash.hpp"
#include "base/metrics.hpp"
#include "flow/catalogue.hpp"
#include "flow/notification.hpp"
#include "protocol/json/path.hpp"
#include "protocol/json/walker.hpp"

namespace tocsin::route {

/// Recipients that one match can reach; the rest is suppressed.
inline constexpr std::size_t recipients_per_match_max = 256;

/// One rule, ready to route.
struct Route {
  std::string rule;
  std::string channel;
  std::vector<std::string> recipients;  ///< Valid and distinct.
  json::Path recipient_path;            ///< Empty: there is no recipient_field.
  std::optional<Priority> priority;
  std::optional<Severity> severity;
};

/// The routes of all rules, immutable, in the order of the list they were compiled from: so a
/// rule's index is the same as in match::RuleSet.
class RouteTable {
 public:
  /// The error names the rule.
  [[nodiscard]] static Result<std::shared_ptr<const RouteTable>, std::string> compile(
      std::span<const flow::RuleConfig> rules);
  [[nodiscard]] const Route& route(std::uint32_t rule) const noexcept { return routes_[rule]; }
  [[nodiscard]] std::size_t size() const noexcept { return routes_.size(); }

 private:
  std::vector<Route> routes_;
};

/// A notification to be. Views live until the router's next route(), as long as record and table.
struct Target {
  NotificationId id;
  std::string_view recipient;  ///< Empty: the channel knows where to.
};

/// Why a notification was not created. Closed set: a metric label.
enum class Suppression : std::uint8_t { no_recipient, bad_recipient, too_many_recipients };
inline constexpr std::size_t suppressions = 3;
[[nodiscard]] std::string_view to_string(Suppression reason) noexcept;

/// One worker's router; one thread. Counts so that targets = routed + suppressed + merged.
class Router final : public MetricSource {
 public:
  explicit Router(std::shared_ptr<const RouteTable> table) : table_(std::move(table)) {}

  /// Changes to another snapshot, between two records.
  void adopt(std::shared_ptr<const RouteTable> table) { table_ = std::move(table); }
  [[nodiscard]] const RouteTable& table() const noexcept { return *table_; }

  /// Replaces `out` by the notifications of one match. A rule with neither recipients nor
  /// recipient_field has one, to the empty recipient. `document`: the payload, nothing when it is
  /// binary. `replay_id`: of the replay that runs, empty outside of one.
  void route(const RecordView& record, const std::optional<json::Value>& document,
             std::uint32_t rule, std::vector<Target>& out, std::string_view replay_id = {});

  /// Fills everything but subject, body, created, range.
  void fill(const RecordView& record, std::uint32_t rule, const Target& target,
            flow::Notification& notification) const;

  void describe(MetricSink& sink) const override;

 private:
  void add(std::string_view recipient, std::vector<Target>& out);
  void add_json(json::Value value, std::vector<Target>& out);
  void add_from_field(const Route& route, const std::optional<json::Value>& document,
                      std::vector<Target>& out);
  void suppress(Suppression reason) noexcept;

  std::shared_ptr<const RouteTable> table_;
  Hash128 origin_;       // Of everything in an id but the recipient.
  std::string scratch_;  // Unescaped recipients.
  std::size_t scratch_used_ = 0;
  Counter targets_;
  Counter routed_;
  Counter merged_;
  std::array<Counter, suppressions> suppressed_;
};

}  // namespace tocsin::route
