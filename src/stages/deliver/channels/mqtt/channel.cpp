// Publishes over MQTT: to the subscribers of our own listener, or to another broker.

#include <cassert>
#include <vector>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "flow/broker_options.hpp"
#include "stages/deliver/channel_type.hpp"
#include "stages/deliver/channels/mqtt/options.hpp"
#include "stages/deliver/channels/mqtt/topic.hpp"

namespace tocsin::deliver {
namespace {

constexpr std::string_view self = "self";

/// Completions that are known at once but may only be told on a later turn.
class LaterCompletions final : public flow::Receiver {
 public:
  explicit LaterCompletions(flow::Loop& loop) noexcept : loop_(loop) {}
  enum Kind : std::uint32_t { delivered, no_room, bad_topic };
  void post(DeliveryCompletion& done, Kind kind) noexcept {
    ++outstanding_;
    loop_.post({.to = this, .kind = kind, .arg = 0, .object = &done});
  }
  void on_message(const flow::Message& message) noexcept override {
    assert(outstanding_ > 0);
    --outstanding_;
    auto& done = *static_cast<DeliveryCompletion*>(message.object);
    switch (static_cast<Kind>(message.kind)) {
      case delivered:
        return done.on_attempt({});
      case no_room:
        return done.on_attempt({.verdict = Verdict::transient,
                                .error = DeliveryError::overflow,
                                .detail = "the MQTT listener's queues are full"});
      case bad_topic:
        return done.on_attempt({.verdict = Verdict::permanent,
                                .error = DeliveryError::protocol,
                                .detail = "rule or recipient do not make a valid topic"});
    }
  }
  [[nodiscard]] bool idle() const noexcept { return outstanding_ == 0; }

 private:
  flow::Loop& loop_;
  std::size_t outstanding_ = 0;
};

class SelfChannel final : public Channel {
 public:
  SelfChannel(const ChannelContext& context, const OptionValues& options)
      : hub_(*context.hub),
        later_(context.loop),
        topic_(options.text("topic")),
        qos_(static_cast<std::uint8_t>(options.number("qos"))) {}

  Result<void, SubmitError> submit(std::string_view recipient,
                                   std::span<const OutgoingNotification> notifications,
                                   DeliveryCompletion& done) noexcept override {
    assert(!notifications.empty());
    const std::string topic = make_topic(topic_, recipient, notifications.front());
    if (!topic_allowed(topic, /*own_listener=*/true)) {
      later_.post(done, LaterCompletions::bad_topic);
      return {};
    }
    const bool published = hub_.publish(topic, make_payload(notifications), qos_);
    later_.post(done, published ? LaterCompletions::delivered : LaterCompletions::no_room);
    return {};
  }
  void close() noexcept override {}
  bool closed() const noexcept override { return later_.idle(); }

 private:
  flow::SubscriberHub& hub_;
  LaterCompletions later_;
  std::string topic_;
  std::uint8_t qos_;
};

flow::BrokerOptions broker_options(const ChannelContext& context, const OptionValues& options) {
  flow::BrokerOptions made = flow::make_broker_options(options, "channel", context.name);
  const Duration timeout = std::chrono::milliseconds{options.number("attempt_timeout_ms")};
  made.publish_timeout = timeout;
  made.connect_timeout = timeout;
  made.outstanding_max = static_cast<std::uint16_t>(options.number("outstanding_max"));
  return made;
}

class BrokerChannel final : public Channel, public flow::BrokerListener {
 public:
  BrokerChannel(const ChannelContext& context, const OptionValues& options)
      : later_(context.loop),
        topic_(options.text("topic")),
        qos_(static_cast<std::uint8_t>(options.number("qos"))),
        waiting_(static_cast<std::size_t>(options.number("outstanding_max"))),
        client_(context.loop, context.log, broker_options(context, options), *this) {}

  void open() noexcept override { client_.open(); }
  bool waits_for_open() const noexcept override { return true; }

  Result<void, SubmitError> submit(std::string_view recipient,
                                   std::span<const OutgoingNotification> notifications,
                                   DeliveryCompletion& done) noexcept override {
    assert(!notifications.empty());
    const OutgoingNotification& first = notifications.front();
    const std::string topic = make_topic(topic_, recipient, first);
    if (!topic_allowed(topic, /*own_listener=*/false)) {
      later_.post(done, LaterCompletions::bad_topic);
      return {};
    }
    const UuidText id = uuid_text(first.id.hi, first.id.lo);
    std::vector<flow::BrokerClient::Property> properties{{flow::own_message_property, view(id)}};
    if (!first.traceparent.empty()) properties.emplace_back("traceparent", first.traceparent);
    const auto ticket = client_.publish(topic, make_payload(notifications), qos_, properties);
    if (!ticket) return Unexpected{SubmitError::busy};
    assert(waiting_[*ticket] == nullptr);
    waiting_[*ticket] = &done;
    return {};
  }

  void on_published(std::uint32_t ticket,
                    std::optional<flow::PublishFailure> failure) noexcept override {
    DeliveryCompletion* const done = std::exchange(waiting_[ticket], nullptr);
    assert(done != nullptr);
    done->on_attempt(failure ? classify(*failure) : Attempt{});
  }

  void close() noexcept override {
    closing_ = true;
    client_.close();
  }
  bool closed() const noexcept override { return later_.idle() && client_.closed(); }

 private:
  [[nodiscard]] Attempt classify(flow::PublishFailure failure) const {
    if (closing_) return {.verdict = Verdict::transient, .error = DeliveryError::shutdown};
    switch (failure) {
      case flow::PublishFailure::down:
        return {.verdict = Verdict::transient,
                .error = DeliveryError::connect,
                .detail = "not connected to the broker"};
      case flow::PublishFailure::timeout:
        return {.verdict = Verdict::transient,
                .error = DeliveryError::timeout,
                .detail = "the broker did not acknowledge in time"};
      case flow::PublishFailure::refused:
        return {.verdict = Verdict::permanent,
                .error = DeliveryError::protocol,
                .detail = "the broker refused the topic or the payload"};
      case flow::PublishFailure::not_authorized:
        return {.verdict = Verdict::auth,
                .error = DeliveryError::auth,
                .detail = "the broker does not let us publish to this topic"};
      case flow::PublishFailure::throttled:
        return {.verdict = Verdict::throttled,
                .error = DeliveryError::throttled,
                .detail = "the broker's quota is exceeded"};
    }
    return {.verdict = Verdict::transient, .error = DeliveryError::protocol};
  }

  LaterCompletions later_;
  std::string topic_;
  std::uint8_t qos_;
  bool closing_ = false;
  std::vector<DeliveryCompletion*> waiting_;  // By ticket.
  flow::BrokerClient client_;
};

std::string check_mqtt_channel(const OptionValues& options) {
  const bool own = options.text("broker") == self;
  if (!own && !flow::parse_broker_uri(options.text("broker"))) {
    return "broker: give \"self\", mqtt://host[:port] or mqtts://host[:port]";
  }
  const OutgoingNotification sample{.id = {},
                                    .event_id = {},
                                    .rule = "x",
                                    .event_type = "x",
                                    .subject = {},
                                    .body = {},
                                    .traceparent = {}};
  if (!topic_allowed(make_topic(options.text("topic"), "x", sample), own)) {
    return own ? "topic: not a valid topic below \"notifications/\"" : "topic: not a valid topic";
  }
  if (options.text("cert_file").empty() != options.text("key_file").empty()) {
    return "cert_file and key_file go together";
  }
  return {};
}

Result<std::unique_ptr<Channel>, std::string> make_mqtt_channel(const ChannelContext& context,
                                                                const OptionValues& options) {
  if (std::string why = check_mqtt_channel(options); !why.empty()) return Unexpected{why};
  if (options.text("broker") != self) {
    return std::unique_ptr<Channel>(std::make_unique<BrokerChannel>(context, options));
  }
  if (context.hub == nullptr) {
    return Unexpected{std::string("broker \"self\" needs an MQTT listener")};
  }
  return std::unique_ptr<Channel>(std::make_unique<SelfChannel>(context, options));
}

}  // namespace

extern const ChannelType channel_type_mqtt;
const ChannelType channel_type_mqtt{
    .name = "mqtt",
    .help = "Publishes over MQTT: to subscribers of our own listener, or to another broker.",
    .options = mqtt_options,
    .make = make_mqtt_channel,
    .check = check_mqtt_channel};

}  // namespace tocsin::deliver
