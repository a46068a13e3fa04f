#include "stages/ingress/subscription/subscription.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

#include "flow/broker_options.hpp"
#include "flow/hub.hpp"
#include "stages/ingress/subscription/check.hpp"

namespace tocsin::ingress {
namespace {

// From the first SYN to the last SUBACK.
constexpr Duration attempt_timeout = std::chrono::seconds{10};
// No leaving takes longer, however dead the broker is.
constexpr Duration leave_timeout = std::chrono::seconds{2};
// A quota does not say for how long nothing will be taken: not for ever.
constexpr Duration hold_max = std::chrono::seconds{1};

SessionOptions session_options(const flow::SubscriptionConfig& config) {
  const flow::BrokerOptions broker =
      flow::make_broker_options(config.options, "subscription", config.name);
  SessionOptions made;
  made.version_5 = broker.version_5;
  made.client_id = broker.client_id;
  made.username = broker.username;
  made.password = broker.password;
  made.keep_alive_s = broker.keep_alive_s;
  made.filters = config.options.list("topics");
  made.qos = static_cast<std::uint8_t>(config.options.number("qos"));
  made.receive_max = static_cast<std::uint16_t>(config.options.number("receive_maximum"));
  made.packet_size_max = static_cast<std::size_t>(config.options.number("packet_size_max"));
  // A session without acknowledgements has nothing to keep.
  const std::int64_t expiry_s = config.options.number("session_expiry_s");
  made.session_expiry_s = made.qos == 0 ? 0 : static_cast<std::uint32_t>(expiry_s);
  return made;
}

}  // namespace

Result<std::unique_ptr<BrokerSubscription>, std::string> BrokerSubscription::make(
    flow::Loop& loop, Log log, flow::Intake& intake, io::Resolver* resolver,
    const flow::SubscriptionConfig& config) {
  std::unique_ptr<io::TlsClientContext> tls;
  if (flow::parse_broker_uri(config.options.text("broker"))->tls) {
    auto made = io::make_tls_client_context({.ca_file = config.options.text("ca_file"),
                                             .certificate_file = config.options.text("cert_file"),
                                             .key_file = config.options.text("key_file")});
    if (!made) return Unexpected{made.error()};
    tls = std::move(*made);
  }
  return std::unique_ptr<BrokerSubscription>(
      new BrokerSubscription(loop, std::move(log), intake, resolver, config, std::move(tls)));
}

BrokerSubscription::BrokerSubscription(flow::Loop& loop, Log log, flow::Intake& intake,
                                       io::Resolver* resolver,
                                       const flow::SubscriptionConfig& config,
                                       std::unique_ptr<io::TlsClientContext> tls)
    : loop_(loop),
      log_(std::move(log)),
      intake_(intake),
      name_(config.name),
      uri_(config.options.text("broker")),
      qos_(static_cast<std::uint8_t>(config.options.number("qos"))),
      tls_(std::move(tls)),
      backoff_(std::chrono::milliseconds{config.options.number("reconnect_min_ms")},
               std::chrono::milliseconds{std::max(config.options.number("reconnect_min_ms"),
                                                  config.options.number("reconnect_max_ms"))}),
      filters_(0),
      session_(session_options(config), *this),
      link_(loop, *this, *flow::parse_broker_uri(uri_), resolver, tls_.get()) {
  for (const std::string& filter : config.options.list("topics")) {
    (void)filters_.insert(plain_filter(filter), 0);
  }
  intake_.add_ready_listener(*this);
  loop_.add_ticker(*this);
  loop_.arm(state_timer_, loop_.now());
}

BrokerSubscription::~BrokerSubscription() {
  loop_.remove_ticker(*this);
  loop_.disarm(state_timer_);
  loop_.disarm(ping_timer_);
  loop_.disarm(hold_timer_);
}

void BrokerSubscription::on_state_timer(MonoTime now) {
  switch (state_) {
    case State::waiting:
      state_ = State::connecting;
      loop_.arm(state_timer_, now + attempt_timeout);
      return link_.open();
    case State::connecting:
      // It may have answered behind the messages that wait for room.
      if (paused_) return loop_.arm(state_timer_, now + attempt_timeout);
      return link_.close("no answer");
    case State::leaving:
      return link_.close("");
    case State::up:
    case State::closed:
      return;
  }
}

void BrokerSubscription::on_link_up() noexcept {
  ++connection_;
  input_.clear();
  paused_ = false;
  heard_ = said_ = true;
  asked_ = false;
  session_.begin();
  flush();
}

void BrokerSubscription::on_link_data(std::string_view bytes) noexcept {
  if (state_ != State::connecting && state_ != State::up) return;
  heard_ = true;
  if (!input_.empty()) {
    if (!input_.append(bytes)) return link_.close("out of memory");
    if (!paused_) take_input();
    return;
  }
  std::size_t consumed = 0;
  const auto status = session_.feed(bytes, consumed);
  if (status == SubscriberSession::Status::failed) return end_connection();
  if (!input_.append(bytes.substr(consumed))) return link_.close("out of memory");
  paused_ = status == SubscriberSession::Status::wait;
  if (paused_) link_.receive(false);
}

void BrokerSubscription::take_input() noexcept {
  if (closing_ || (state_ != State::connecting && state_ != State::up)) return;
  std::size_t consumed = 0;
  const auto status = session_.feed(input_.view(), consumed);
  if (status == SubscriberSession::Status::failed) return end_connection();
  input_.consume(consumed);
  const bool was_paused = std::exchange(paused_, status == SubscriberSession::Status::wait);
  if (was_paused != paused_) link_.receive(!paused_);
}

void BrokerSubscription::on_ready() noexcept {
  if (paused_) take_input();
}

void BrokerSubscription::on_hold_timer(MonoTime /*now*/) {
  if (paused_) take_input();
}

void BrokerSubscription::end_connection() noexcept {
  const SubscriberSession::Failure& failure = session_.failure();
  if (failure.subscribe) {
    subscribe_failures_.add();
    if (!std::exchange(told_refused_, true)) {
      log_->error("subscription \"{}\": not subscribed at {}: {}; trying again with back-off",
                  name_, log_safe(uri_), log_safe(failure.why));
    }
    told_down_ = true;
  }
  link_.send_last(session_.output(), failure.why);
}

bool BrokerSubscription::wanted(const mqtt::Publish& message) noexcept {
  bool own = message.topic.starts_with(flow::notification_topic_prefix);
  message.properties.for_each_user_property([&](std::string_view name, std::string_view) {
    own = own || name == flow::own_message_property;
    return !own;
  });
  if (own) {
    ignored_.add();
    return false;
  }
  bool matches = false;
  filters_.match(message.topic, [&](flow::TopicTrie::Value) { matches = true; });
  // Of a filter that has left the configuration, but not the session at the broker.
  if (!matches) unwanted_.add();
  return matches;
}

SubscriberSession::Taken BrokerSubscription::on_publish(const mqtt::Publish& message,
                                                        AckWindow::Number number) noexcept {
  using Taken = SubscriberSession::Taken;
  if (closing_) return Taken::wait;
  if (!wanted(message)) return Taken::done;
  flow::AckToken token;
  if (message.qos > 0) token = {this, number, connection_, 0};
  const auto verdict =
      intake_.add({.envelope = flow::Envelope::device,
                   .payload = message.payload,
                   .content_type = message.properties.text(mqtt::PropertyId::content_type),
                   .topic = message.topic,
                   .attributes = {},
                   .traceparent = {},
                   .level = {}},
                  token);
  if (verdict) {
    received_.add();
    accepted_.add();
    if (message.qos == 0) return Taken::done;
    ++outstanding_;
    return Taken::pending;
  }
  switch (verdict.error().reason) {
    case flow::Refusal::capacity:
    case flow::Refusal::shutting_down:
      return Taken::wait;  // on_ready() comes when there is room again.
    case flow::Refusal::quota:
      loop_.arm(hold_timer_,
                loop_.now() + std::clamp(verdict.error().retry_after,
                                         Duration{std::chrono::milliseconds{1}}, hold_max));
      return Taken::wait;
    default:
      received_.add();
      refused_[static_cast<std::size_t>(verdict.error().reason)].add();
      return Taken::done;
  }
}

void BrokerSubscription::on_skipped(std::size_t size) noexcept {
  received_.add();
  refused_[static_cast<std::size_t>(flow::Refusal::too_large)].add();
  if (std::exchange(told_skipped_, true)) return;
  log_->warn("subscription \"{}\": a message of {} bytes is above packet_size_max and was skipped",
             name_, size);
}

void BrokerSubscription::on_ack(const flow::AckToken& token, bool stored) noexcept {
  assert(outstanding_ > 0);
  --outstanding_;
  // The broker sends it again over the connection after that one.
  if (token.generation != connection_ || !link_.connected()) return;
  if (stored) return session_.settle(token.slot);
  refused_[static_cast<std::size_t>(flow::Refusal::commit_failed)].add();
  link_.close("an event could not be stored");
}

// Once a turn: the acknowledgements of a whole commit leave in one write.
MonoTime BrokerSubscription::on_tick(MonoTime /*now*/) noexcept {
  if (link_.connected()) {
    const std::size_t before = session_.unacknowledged();
    session_.write_acks();
    acknowledged_.add(before - session_.unacknowledged());
    flush();
    if (paused_) take_input();
  }
  unacknowledged_.store(session_.unacknowledged(), std::memory_order_relaxed);
  if (closing_) leave_when_done();
  return MonoTime::max();
}

void BrokerSubscription::flush() noexcept {
  if (session_.output().empty() || !link_.can_send()) return;
  said_ = true;
  link_.send(session_.output());
}

void BrokerSubscription::on_subscribed(std::uint8_t granted_qos) noexcept {
  state_ = State::up;
  loop_.disarm(state_timer_);
  backoff_.reset();
  told_down_ = told_refused_ = false;
  log_->info("subscription \"{}\": connected to {}", name_, log_safe(uri_));
  if (granted_qos < qos_) {
    log_->warn("subscription \"{}\": the broker grants QoS {} only", name_, granted_qos);
  }
  up_.store(true, std::memory_order_relaxed);
  if (session_.keep_alive_s() == 0) return;
  loop_.arm(ping_timer_, loop_.now() + std::chrono::seconds{session_.keep_alive_s()} / 2);
}

void BrokerSubscription::on_ping_timer(MonoTime now) {
  if (state_ != State::up) return;
  const bool answered = std::exchange(heard_, false) || paused_;
  if (asked_ && !answered) return link_.close("no answer to a ping");
  asked_ = !said_;
  if (asked_) {
    session_.write_ping();
    flush();
  }
  said_ = false;
  loop_.arm(ping_timer_, now + std::chrono::seconds{session_.keep_alive_s()} / 2);
}

void BrokerSubscription::on_link_down(std::string_view why) noexcept {
  const bool was_up = up_.exchange(false, std::memory_order_relaxed);
  if (was_up) disconnects_.add();
  ++connection_;
  loop_.disarm(ping_timer_);
  loop_.disarm(hold_timer_);
  loop_.disarm(state_timer_);
  input_.release();
  paused_ = false;
  if (closing_) {
    state_ = State::closed;
    return;
  }
  state_ = State::waiting;
  std::array<std::byte, 8> random{};
  loop_.io().random(random);
  loop_.arm(state_timer_, loop_.now() + backoff_.next(std::bit_cast<std::uint64_t>(random)));
  if (std::exchange(told_down_, true)) return;
  log_->warn("subscription \"{}\": {} {}: {}; trying again with back-off", name_,
             was_up ? "lost the broker" : "cannot reach the broker", log_safe(uri_), log_safe(why));
}

void BrokerSubscription::close() noexcept {
  if (std::exchange(closing_, true)) return;
  if (link_.idle()) {
    loop_.disarm(state_timer_);
    state_ = State::closed;
    return;
  }
  if (state_ != State::up) return link_.close("");
  link_.receive(false);
  state_ = State::leaving;
  loop_.arm(state_timer_, loop_.now() + leave_timeout);
  leave_when_done();
}

// The session stays at the broker, with all that was not acknowledged.
void BrokerSubscription::leave_when_done() noexcept {
  if (state_ != State::leaving || outstanding_ > 0 || !link_.can_send()) return;
  session_.write_acks();
  session_.write_disconnect(mqtt::ReasonCode::success);
  link_.send_last(session_.output(), "");
}

bool BrokerSubscription::closed() const noexcept {
  return state_ == State::closed && outstanding_ == 0;
}

void BrokerSubscription::describe(MetricSink& sink) const {
  const Labels labels = {{"subscription", name_}};
  sink.counter("tocsin_subscription_messages_total", "Messages decoded from a broker.", labels,
               received_.get());
  sink.counter("tocsin_subscription_accepted_total", "Messages that became events.", labels,
               accepted_.get());
  sink.counter("tocsin_subscription_acknowledged_total",
               "Messages acknowledged to the broker: stored, refused or not wanted.", labels,
               acknowledged_.get());
  sink.counter("tocsin_subscription_ignored_total",
               "Our own notifications that came back and were not made events.", labels,
               ignored_.get());
  sink.counter("tocsin_subscription_unwanted_total",
               "Messages of topic filters that the broker still remembers but the configuration "
               "does not have.",
               labels, unwanted_.get());
  for (std::size_t i = 0; i < refused_.size(); ++i) {
    if (refused_[i].get() == 0) continue;
    sink.counter("tocsin_subscription_refused_total", "Messages refused, by reason.",
                 {{"subscription", name_}, {"reason", to_string(static_cast<flow::Refusal>(i))}},
                 refused_[i].get());
  }
  sink.counter("tocsin_subscription_disconnects_total", "Times the broker was lost.", labels,
               disconnects_.get());
  sink.counter("tocsin_subscription_failures_total",
               "Times the broker was reached but refused a topic filter.", labels,
               subscribe_failures_.get());
  sink.gauge("tocsin_subscription_connected",
             "1 while the broker is connected and has accepted all topic filters.", labels,
             subscribed() ? 1 : 0);
  sink.gauge("tocsin_subscription_unacknowledged",
             "Messages taken from the broker and not yet acknowledged.", labels,
             static_cast<double>(unacknowledged_.load(std::memory_order_relaxed)));
}

}  // namespace tocsin::ingress
