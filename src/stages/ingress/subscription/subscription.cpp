#include "stages/ingress/subscription/subscription.hpp"

#include <cassert>

#include <fmt/format.h>

#include "flow/broker_options.hpp"
#include "flow/hub.hpp"
#include "flow/sources.hpp"

namespace tocsin::ingress {
namespace {

constexpr std::string_view share_prefix = "$share/";
// Messages decoded in one turn: sockets of the same reactor wait no longer.
constexpr std::size_t messages_per_turn_max = 256;

bool share_valid(std::string_view filter) noexcept {
  if (!filter.starts_with(share_prefix)) return true;
  const std::string_view group = filter.substr(share_prefix.size());
  const std::size_t slash = group.find('/');
  return slash != group.npos && slash > 0 &&
         group.substr(0, slash).find_first_of("+#") == group.npos;
}

flow::BrokerOptions broker_options(const flow::SubscriptionConfig& config) {
  const OptionValues& options = config.options;
  flow::BrokerOptions made = flow::make_broker_options(options, "subscription", config.name);
  made.outstanding_max = 1;  // It publishes nothing.
  made.filters = options.list("topics");
  made.subscribe_qos = static_cast<std::uint8_t>(options.number("qos"));
  return made;
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

BrokerSubscription::BrokerSubscription(flow::Loop& loop, Log log, flow::Intake& intake,
                                       const flow::SubscriptionConfig& config)
    : loop_(loop),
      log_(log),
      intake_(intake),
      name_(config.name),
      queue_(static_cast<std::size_t>(config.options.number("queue_max")),
             static_cast<std::size_t>(config.options.number("queue_bytes"))),
      client_(loop, log, broker_options(config), *this, this) {
  intake_.add_ready_listener(*this);
  client_.open();
}

// Paho's thread.
void BrokerSubscription::on_broker_message(const flow::BrokerMessage& message) noexcept {
  if (message.own || message.topic.starts_with(flow::notification_topic_prefix)) {
    return ignored_.add();
  }
  if (queue_.push(message.topic, message.content_type, message.payload) !=
      MessageQueue::Pushed::first) {
    return;
  }
  posted_.fetch_add(1, std::memory_order_relaxed);
  loop_.post({.to = this, .kind = 0, .arg = 0, .object = nullptr});
}

void BrokerSubscription::on_message(const flow::Message&) noexcept {
  ++arrived_;
  more_posted_ = false;
  take_queued();
}

void BrokerSubscription::take_queued() noexcept {
  for (std::size_t taken = 0; taken < messages_per_turn_max; ++taken) {
    const QueuedMessage* const message = queue_.front();
    if (message == nullptr) return;
    const auto verdict = intake_.add({.envelope = flow::Envelope::device,
                                      .payload = message->payload(),
                                      .content_type = message->content_type,
                                      .topic = message->topic,
                                      .attributes = {},
                                      .traceparent = {},
                                      .level = Level::accepted},
                                     {});
    // It stays queued: on_ready() comes when there is room again.
    if (!verdict && verdict.error().reason == flow::Refusal::capacity) return;
    received_.add();
    if (verdict) {
      accepted_.add();
    } else {
      refused_[static_cast<std::size_t>(verdict.error().reason)].add();
    }
    queue_.pop();
  }
  if (more_posted_) return;
  more_posted_ = true;
  posted_.fetch_add(1, std::memory_order_relaxed);
  loop_.post({.to = this, .kind = 0, .arg = 0, .object = nullptr});
}

void BrokerSubscription::on_broker_state(bool connected) noexcept {
  up_.store(connected, std::memory_order_relaxed);
  if (!connected) disconnects_.add();
}

void BrokerSubscription::close() noexcept {
  if (std::exchange(closing_, true)) return;
  // First, so that a callback that waits for room lets Paho's thread go on.
  queue_.close();
  client_.close();
}

bool BrokerSubscription::closed() const noexcept {
  return client_.closed() && queue_.size() == 0 &&
         posted_.load(std::memory_order_relaxed) == arrived_;
}

void BrokerSubscription::describe(MetricSink& sink) const {
  const Labels labels = {{"subscription", name_}};
  sink.counter("tocsin_subscription_messages_total", "Messages decoded from a broker.", labels,
               received_.get());
  sink.counter("tocsin_subscription_accepted_total", "Messages that became events.", labels,
               accepted_.get());
  sink.counter("tocsin_subscription_ignored_total",
               "Our own notifications that came back and were not made events.", labels,
               ignored_.get());
  for (std::size_t i = 0; i < refused_.size(); ++i) {
    if (refused_[i].get() == 0) continue;
    sink.counter("tocsin_subscription_refused_total", "Messages refused, by reason.",
                 {{"subscription", name_}, {"reason", to_string(static_cast<flow::Refusal>(i))}},
                 refused_[i].get());
  }
  sink.counter("tocsin_subscription_disconnects_total", "Times the broker was lost.", labels,
               disconnects_.get());
  sink.counter("tocsin_subscription_failures_total",
               "Times the broker was reached but refused a topic filter or did not answer.", labels,
               subscribe_failures_.get());
  sink.gauge("tocsin_subscription_connected",
             "1 while the broker is connected and has accepted all topic filters.", labels,
             subscribed() ? 1 : 0);
  sink.gauge("tocsin_subscription_queued", "Messages taken from the broker and not yet decoded.",
             labels, static_cast<double>(queue_.size()));
}

}  // namespace tocsin::ingress
