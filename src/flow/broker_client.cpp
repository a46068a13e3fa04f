#include "flow/broker_client.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>

#include <fmt/format.h>
#include <mqtt/async_client.h>

#include "flow/broker_worker.hpp"

namespace tocsin::flow {
namespace {

// From 0x80 on MQTT 5's reason codes, 1 to 5 the CONNACK of 3.1.1, below 0 the library's own.
std::string failure_text(std::int32_t code) {
  constexpr std::array<std::string_view, 6> connack_texts{"",
                                                          "unacceptable protocol version",
                                                          "client identifier refused",
                                                          "server unavailable",
                                                          "bad user name or password",
                                                          "not authorized"};
  const char* text = nullptr;
  if (code >= 0x80) {
    text = MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(code));
  } else if (code > 0 && code < static_cast<std::int32_t>(connack_texts.size())) {
    return std::string(connack_texts[static_cast<std::size_t>(code)]);
  } else if (code < 0) {
    text = MQTTAsync_strerror(code);
  }
  return text == nullptr ? fmt::format("error {}", code) : fmt::format("{} ({})", text, code);
}

// Paho ends a connect attempt by itself; this is for the case that it forgets.
constexpr Duration connect_watchdog = std::chrono::seconds{5};

void* to_context(std::uint32_t ticket, std::uint16_t generation) noexcept {
  static_assert(sizeof(void*) >= 4);
  return std::bit_cast<void*>(static_cast<std::uintptr_t>(generation) << 16U | ticket);
}

PublishFailure classify(std::int32_t code) noexcept {
  switch (code) {  // MQTT 5.0 section 3.4.2.1.
    case 0x87:
      return PublishFailure::not_authorized;
    case 0x97:
      return PublishFailure::throttled;
    case 0x90:
    case 0x95:
    case 0x99:
      return PublishFailure::refused;
    default:
      return PublishFailure::down;
  }
}

}  // namespace

struct BrokerClient::HeldPublish {
  std::uint32_t ticket = 0;
  Worker::Command command;
};

BrokerClient::BrokerClient(Loop& loop, Log log, BrokerOptions options, BrokerListener& listener)
    : loop_(loop),
      log_(std::move(log)),
      options_(std::move(options)),
      listener_(listener),
      backoff_(options_.reconnect_min, std::max(options_.reconnect_min, options_.reconnect_max)),
      outstanding_(options_.outstanding_max) {
  assert(options_.outstanding_max > 0);
  for (std::uint32_t i = options_.outstanding_max; i > 0; --i) free_tickets_.push_back(i - 1);
}

void BrokerClient::open() noexcept {
  if (state_ == State::closing) return;
  assert(state_ == State::unopened);
  state_ = State::waiting;
  loop_.arm(state_timer_, loop_.now());
}

BrokerClient::~BrokerClient() {
  loop_.disarm(state_timer_);
  loop_.disarm(publish_timer_);
}

void BrokerClient::post_from_paho(Kind kind, std::int32_t code, void* context) noexcept {
  posted_.fetch_add(1, std::memory_order_relaxed);
  loop_.post(
      {.to = this, .kind = kind, .arg = static_cast<std::uint32_t>(code), .object = context});
}

void BrokerClient::connect() noexcept {
  assert(state_ == State::waiting);
  if (worker_ == nullptr) {
    const auto uri = parse_broker_uri(options_.uri);
    assert(uri.has_value());
    worker_ = std::make_unique<Worker>(*this, *uri);
  }
  state_ = State::connecting;
  loop_.arm(state_timer_, loop_.now() + options_.connect_timeout + connect_watchdog);
  worker_->push({.verb = Worker::Verb::connect});
}

void BrokerClient::wait_to_reconnect(std::string_view why) noexcept {
  if (state_ == State::closing) return;
  const bool was_up = state_ == State::up;
  state_ = State::waiting;
  std::array<std::byte, 8> random{};
  loop_.io().random(random);
  loop_.arm(state_timer_, loop_.now() + backoff_.next(std::bit_cast<std::uint64_t>(random)));
  if (!std::exchange(told_down_, true)) {
    log_->warn("{}: {} {}: {}; trying again with back-off", options_.name,
               was_up ? "lost the broker" : "cannot reach the broker", log_safe(options_.uri),
               log_safe(why));
  }
  end_all_publishes();
  if (was_up) listener_.on_broker_state(false);
}

void BrokerClient::on_state_timer(MonoTime) noexcept {
  switch (state_) {
    case State::waiting:
      return connect();
    case State::connecting:
      unreachable_ = true;
      // Should the attempt still succeed, Paho would refuse the next one.
      worker_->push({.verb = Worker::Verb::disconnect});
      return wait_to_reconnect("no answer");
    case State::unopened:
    case State::up:
      return;
    case State::closing:
      return worker_->push({.verb = Worker::Verb::finish});
  }
}

std::optional<std::uint32_t> BrokerClient::publish(std::string_view topic, std::string_view payload,
                                                   std::uint8_t qos,
                                                   const std::vector<Property>& properties) {
  if (free_tickets_.empty() || state_ == State::closing) return std::nullopt;
  const std::uint32_t ticket = free_tickets_.back();
  free_tickets_.pop_back();
  Outstanding& entry = outstanding_[ticket];
  assert(!entry.used);
  entry.used = true;
  ++entry.generation;
  if (state_ != State::up && unreachable_) {
    end_early(ticket, PublishFailure::down);
    return ticket;
  }
  const MonoTime due = loop_.now() + options_.publish_timeout;
  deadlines_.push_back({due, ticket, entry.generation});
  if (!publish_timer_.armed()) loop_.arm(publish_timer_, due);
  HeldPublish held{.ticket = ticket,
                   .command = {.verb = Worker::Verb::publish,
                               .topic = std::string(topic),
                               .payload = std::string(payload),
                               .qos = qos,
                               .context = to_context(ticket, entry.generation)}};
  for (const auto& [name, value] : properties) {
    held.command.properties.emplace_back(name, value);
  }
  if (state_ == State::up) {
    hand_to_worker(std::move(held));
  } else {
    entry.held = true;
    held_.push_back(std::move(held));
  }
  return ticket;
}

void BrokerClient::hand_to_worker(HeldPublish publish) noexcept {
  outstanding_[publish.ticket].held = false;
  if (worker_->try_push(std::move(publish.command))) return;
  end_early(publish.ticket, PublishFailure::down);
}

// Reports on a later turn, as the contract demands, by a message to ourselves.
void BrokerClient::end_early(std::uint32_t ticket, PublishFailure failure) noexcept {
  posted_.fetch_add(1, std::memory_order_relaxed);
  loop_.post({.to = this,
              .kind = ended_early,
              .arg = static_cast<std::uint32_t>(failure),
              .object = to_context(ticket, outstanding_[ticket].generation)});
}

void BrokerClient::end_publish(std::uint32_t ticket,
                               std::optional<PublishFailure> failure) noexcept {
  assert(outstanding_[ticket].used);
  outstanding_[ticket].used = false;
  if (std::exchange(outstanding_[ticket].held, false)) {
    std::erase_if(held_, [&](const HeldPublish& held) { return held.ticket == ticket; });
  }
  free_tickets_.push_back(ticket);
  listener_.on_published(ticket, failure);
}

// What Paho still says about these is ignored: their generation is over.
void BrokerClient::end_all_publishes() noexcept {
  deadlines_.clear();
  for (std::uint32_t i = 0; i < outstanding_.size(); ++i) {
    if (outstanding_[i].used) end_publish(i, PublishFailure::down);
  }
}

void BrokerClient::on_publish_timer(MonoTime now) noexcept {
  while (!deadlines_.empty()) {
    const Deadline next = deadlines_.front();
    const Outstanding& entry = outstanding_[next.ticket];
    const bool open = entry.used && entry.generation == next.generation;
    if (open && next.due > now) return loop_.arm(publish_timer_, next.due);
    deadlines_.pop_front();
    if (!open) continue;
    end_publish(next.ticket, entry.held ? PublishFailure::down : PublishFailure::timeout);
  }
}

void BrokerClient::on_message(const Message& message) noexcept {
  ++arrived_;
  if (message.kind != publish_ok && message.kind != publish_failed && message.kind != ended_early) {
    return on_state_message(message);
  }
  const auto context = std::bit_cast<std::uintptr_t>(message.object);
  const auto ticket = static_cast<std::uint32_t>(context & 0xFFFFU);
  const auto generation = static_cast<std::uint16_t>(context >> 16U);
  assert(ticket < outstanding_.size());
  if (!outstanding_[ticket].used || outstanding_[ticket].generation != generation) return;
  if (message.kind == publish_ok) return end_publish(ticket, std::nullopt);
  end_publish(ticket, message.kind == ended_early
                          ? static_cast<PublishFailure>(message.arg)
                          : classify(static_cast<std::int32_t>(message.arg)));
}

void BrokerClient::on_state_message(const Message& message) noexcept {
  const auto code = static_cast<std::int32_t>(message.arg);
  if (state_ == State::closing) {
    // A connect that succeeds after close() is undone by destroying the client.
    // Who says so and who destroys are two threads: their messages come in any order.
    if (message.kind == disconnected && worker_ != nullptr) {
      loop_.disarm(state_timer_);
      worker_->push({.verb = Worker::Verb::finish});
    } else if (message.kind == destroyed) {
      loop_.disarm(state_timer_);
      worker_.reset();
    }
    return;
  }
  switch (message.kind) {
    case connect_ok:
      if (state_ == State::connecting) become_up();
      return;
    case connect_failed:
      if (state_ != State::connecting) return;
      unreachable_ = true;
      return wait_to_reconnect(failure_text(code));
    case connection_lost:
      if (state_ == State::up) wait_to_reconnect("connection lost");
      return;
    default:
      return;
  }
}

void BrokerClient::become_up() noexcept {
  state_ = State::up;
  loop_.disarm(state_timer_);
  backoff_.reset();
  told_down_ = unreachable_ = false;
  log_->info("{}: connected to {}", options_.name, log_safe(options_.uri));
  listener_.on_broker_state(true);
  for (HeldPublish& held : std::exchange(held_, {})) hand_to_worker(std::move(held));
}

void BrokerClient::close() noexcept {
  if (state_ == State::closing) return;
  const bool was_up = state_ == State::up;
  state_ = State::closing;
  for (std::uint32_t i = 0; i < outstanding_.size(); ++i) {
    if (outstanding_[i].used) end_early(i, PublishFailure::down);
  }
  deadlines_.clear();
  held_.clear();
  for (Outstanding& entry : outstanding_) entry.held = false;
  loop_.disarm(state_timer_);
  if (worker_ == nullptr) return;
  if (!was_up) return worker_->push({.verb = Worker::Verb::finish});
  loop_.arm(state_timer_, loop_.now() + broker_disconnect_max);
  worker_->push({.verb = Worker::Verb::disconnect});
}

bool BrokerClient::closed() const noexcept {
  return state_ == State::closing && worker_ == nullptr &&
         posted_.load(std::memory_order_relaxed) == arrived_;
}

}  // namespace tocsin::flow
