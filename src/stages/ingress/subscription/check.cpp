#include "stages/ingress/subscription/check.hpp"

#include <fmt/format.h>

#include "flow/broker_client.hpp"
#include "flow/hub.hpp"
#include "flow/sources.hpp"
#include "flow/topic_tree.hpp"

namespace tocsin::ingress {
namespace {

constexpr std::string_view share_prefix = "$share/";

bool share_valid(std::string_view filter) noexcept {
  if (!filter.starts_with(share_prefix)) return true;
  const std::string_view group = filter.substr(share_prefix.size());
  const std::size_t slash = group.find('/');
  return slash != group.npos && slash > 0 &&
         group.substr(0, slash).find_first_of("+#") == group.npos;
}

}  // namespace

std::string_view plain_filter(std::string_view filter) noexcept {
  if (!filter.starts_with(share_prefix)) return filter;
  const std::size_t slash = filter.find('/', share_prefix.size());
  return slash == filter.npos ? std::string_view{} : filter.substr(slash + 1);
}

std::string check_subscription(const flow::SubscriptionConfig& config) {
  const OptionValues& options = config.options;
  if (!flow::parse_broker_uri(options.text("broker"))) {
    return "broker: give mqtt://host[:port] or mqtts://host[:port]";
  }
  if (options.list("topics").empty()) return "topics: give at least one topic filter";
  for (const std::string& filter : options.list("topics")) {
    if (!share_valid(filter) || !flow::topic_filter_valid(plain_filter(filter))) {
      return fmt::format("topics: \"{}\" is not a valid topic filter", filter);
    }
    if (flow::TopicLevels(filter).deeper) {
      return fmt::format("topics: a filter has more than {} levels", flow::topic_levels_max);
    }
  }
  if (options.text("cert_file").empty() != options.text("key_file").empty()) {
    return "cert_file and key_file go together";
  }
  return {};
}

std::vector<std::string> egress_loops(const std::vector<flow::ChannelConfig>& channels,
                                      const std::vector<flow::SubscriptionConfig>& subscriptions) {
  std::vector<std::string> loops;
  for (const flow::ChannelConfig& channel : channels) {
    if (channel.type != "mqtt") continue;
    const auto out_broker = flow::parse_broker_uri(channel.options.text("broker"));
    const std::string cover = flow::topic_cover(channel.options.text("topic"));
    if (!out_broker || cover.starts_with(flow::notification_topic_prefix)) continue;
    for (const flow::SubscriptionConfig& in : subscriptions) {
      const auto in_broker = flow::parse_broker_uri(in.options.text("broker"));
      if (!in_broker || !flow::same_broker(*out_broker, *in_broker)) continue;
      for (const std::string& filter : in.options.list("topics")) {
        if (!flow::topic_filters_overlap(plain_filter(filter), cover)) continue;
        loops.push_back(
            fmt::format("channel \"{}\" publishes to \"{}\", which subscription \"{}\" receives by "
                        "\"{}\" on the same broker: its notifications would become events",
                        channel.name, channel.options.text("topic"), in.name, filter));
      }
    }
  }
  return loops;
}

}  // namespace tocsin::ingress
