#include "flow/broker_client.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <mqtt/async_client.h>

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

// Paho's wrapper still touches its client for a moment after it told us that it is done.
constexpr Duration paho_grace = std::chrono::milliseconds{100};
constexpr Duration disconnect_max = std::chrono::seconds{2};
// Paho ends a connect attempt by itself; this is for the case that it forgets.
constexpr Duration connect_watchdog = std::chrono::seconds{5};

std::string paho_uri(const BrokerUri& uri) {
  const bool v6 = uri.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", uri.tls ? "ssl" : "tcp", v6 ? "[" : "", uri.host,
                     v6 ? "]" : "", uri.port);
}

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

/// The Paho side: everything that its threads call, and everything that may throw.
class BrokerClient::Paho final : public mqtt::callback {
 public:
  Paho(BrokerClient& owner, const BrokerUri& uri)
      : owner_(owner),
        client_(
            paho_uri(uri), owner.options_.client_id,
            mqtt::create_options(owner.options_.version_5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1)) {
    client_.set_callback(*this);
    make_connect_options(uri.tls);
  }

  void connect() { client_.connect(connect_options_, nullptr, connect_); }
  void subscribe_all() {
    for (const std::string& filter : owner_.options_.filters) {
      client_.subscribe(filter, owner_.options_.subscribe_qos, nullptr, subscribe_);
    }
  }
  void disconnect() {
    client_.disconnect(static_cast<int>(disconnect_max / std::chrono::milliseconds{1}), nullptr,
                       disconnect_);
  }
  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
               const std::vector<std::pair<std::string, std::string>>& properties, void* context) {
    auto message = mqtt::make_message(std::string(topic), payload.data(), payload.size(), qos,
                                      /*retained=*/false);
    if (owner_.options_.version_5) {
      mqtt::properties list;
      for (const auto& [name, value] : properties) {
        list.add(mqtt::property(mqtt::property::USER_PROPERTY, name, value));
      }
      message->set_properties(std::move(list));
    }
    client_.publish(std::move(message), context, publish_);
  }

 private:
  class Action final : public mqtt::iaction_listener {
   public:
    Action(BrokerClient& owner, std::optional<Kind> ok, Kind failed) noexcept
        : owner_(owner), ok_(ok), failed_(failed) {}
    void on_success(const mqtt::token& token) override {
      if (ok_) owner_.post_from_paho(*ok_, 0, token.get_user_context());
    }
    void on_failure(const mqtt::token& token) override {
      // MQTT 5 gives a reason code, 3.1.1 only the library's return code.
      const auto reason = static_cast<std::int32_t>(token.get_reason_code());
      owner_.post_from_paho(failed_, reason >= 0x80 ? reason : token.get_return_code(),
                            token.get_user_context());
    }

   private:
    BrokerClient& owner_;
    std::optional<Kind> ok_;
    Kind failed_;
  };

  void make_connect_options(bool tls) {
    const BrokerOptions& options = owner_.options_;
    connect_options_.set_mqtt_version(options.version_5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1);
    if (options.version_5) {
      connect_options_.set_clean_start(true);
    } else {
      connect_options_.set_clean_session(true);
    }
    connect_options_.set_keep_alive_interval(options.keep_alive_s);
    connect_options_.set_connect_timeout(static_cast<int>(
        std::max<std::int64_t>(1, options.connect_timeout / std::chrono::seconds{1})));
    connect_options_.set_max_inflight(options.outstanding_max);
    if (!options.username.empty()) connect_options_.set_user_name(options.username);
    if (!options.password.empty()) connect_options_.set_password(options.password);
    if (!tls) return;
    mqtt::ssl_options ssl;
    ssl.set_enable_server_cert_auth(true);
    ssl.set_verify(true);  // Host name too.
    ssl.set_ssl_version(MQTT_SSL_VERSION_TLS_1_2);
    if (!options.ca_file.empty()) ssl.set_trust_store(options.ca_file);
    if (!options.cert_file.empty()) ssl.set_key_store(options.cert_file);
    if (!options.key_file.empty()) ssl.set_private_key(options.key_file);
    connect_options_.set_ssl(std::move(ssl));
  }

  void connection_lost(const std::string&) override {
    owner_.post_from_paho(Kind::connection_lost, 0, nullptr);
  }

  void message_arrived(mqtt::const_message_ptr message) override {
    if (owner_.handler_ == nullptr) return;
    BrokerMessage out;
    out.topic = message->get_topic();
    out.payload = message->get_payload_ref().empty()
                      ? std::string_view{}
                      : std::string_view(message->get_payload_ref().data(),
                                         message->get_payload_ref().size());
    out.retained = message->is_retained();
    std::string content_type;
    const mqtt::properties& properties = message->get_properties();
    if (properties.contains(mqtt::property::CONTENT_TYPE)) {
      content_type = mqtt::get<std::string>(properties, mqtt::property::CONTENT_TYPE);
      out.content_type = content_type;
    }
    const std::size_t count = properties.count(mqtt::property::USER_PROPERTY);
    for (std::size_t i = 0; i < count && !out.own; ++i) {
      const auto [name, value] =
          mqtt::get<mqtt::string_pair>(properties, mqtt::property::USER_PROPERTY, i);
      out.own = name == own_message_property;
    }
    owner_.handler_->on_broker_message(out);
  }

  BrokerClient& owner_;
  Action connect_{owner_, Kind::connect_ok, Kind::connect_failed};
  Action subscribe_{owner_, std::nullopt, Kind::subscribe_failed};
  Action publish_{owner_, Kind::publish_ok, Kind::publish_failed};
  Action disconnect_{owner_, Kind::disconnected, Kind::disconnected};
  mqtt::connect_options connect_options_;
  mqtt::async_client client_;
};

/// The thread that calls Paho. Commands run in order; `finish` is the last.
class BrokerClient::Worker {
 public:
  enum class Verb : std::uint8_t { connect, subscribe, publish, disconnect, finish };
  struct Command {
    Verb verb = Verb::connect;
    std::string topic{};
    std::string payload{};
    std::vector<std::pair<std::string, std::string>> properties{};
    std::uint8_t qos = 0;
    void* context = nullptr;
  };

  Worker(BrokerClient& owner, BrokerUri uri)
      : owner_(owner), uri_(std::move(uri)), thread_([this] { run(); }) {}
  ~Worker() {
    push({.verb = Verb::finish});
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void push(Command command) {
    const std::lock_guard guard(mutex_);
    commands_.push_back(std::move(command));
    ready_.notify_one();
  }
  /// For publishes: false when Paho is so slow that as many as may be outstanding wait already.
  [[nodiscard]] bool try_push(Command command) {
    const std::lock_guard guard(mutex_);
    if (commands_.size() >= owner_.options_.outstanding_max) return false;
    commands_.push_back(std::move(command));
    ready_.notify_one();
    return true;
  }

 private:
  void run() {
    for (;;) {
      Command command = next();
      if (command.verb == Verb::finish) break;
      execute(command);
    }
    if (paho_ != nullptr) std::this_thread::sleep_for(paho_grace);
    paho_.reset();
    owner_.post_from_paho(destroyed, 0, nullptr);
  }

  Command next() {
    std::unique_lock guard(mutex_);
    ready_.wait(guard, [this] { return !commands_.empty(); });
    Command command = std::move(commands_.front());
    commands_.pop_front();
    return command;
  }

  void execute(const Command& command) noexcept {
    try {
      if (paho_ == nullptr) paho_ = std::make_unique<Paho>(owner_, uri_);
      switch (command.verb) {
        case Verb::connect:
          return paho_->connect();
        case Verb::subscribe:
          return paho_->subscribe_all();
        case Verb::publish:
          return paho_->publish(command.topic, command.payload, command.qos, command.properties,
                                command.context);
        case Verb::disconnect:
          return paho_->disconnect();
        case Verb::finish:
          return;
      }
    } catch (const mqtt::exception& error) {
      // Text that MQTT cannot carry never will be: the reason for an invalid topic name.
      const bool unusable = error.get_return_code() == MQTTASYNC_BAD_UTF8_STRING;
      fail(command, unusable ? 0x90 : error.get_return_code());
    } catch (const std::exception&) {
      fail(command, MQTTASYNC_FAILURE);
    }
  }

  void fail(const Command& command, std::int32_t code) noexcept {
    switch (command.verb) {
      case Verb::connect:
        return owner_.post_from_paho(connect_failed, code, nullptr);
      case Verb::subscribe:
        return owner_.post_from_paho(subscribe_failed, code, nullptr);
      case Verb::publish:
        return owner_.post_from_paho(publish_failed, code, command.context);
      case Verb::disconnect:
        return owner_.post_from_paho(disconnected, code, nullptr);
      case Verb::finish:
        return;
    }
  }

  BrokerClient& owner_;
  BrokerUri uri_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Command> commands_;
  std::unique_ptr<Paho> paho_;  // Of the thread.
  std::thread thread_;          // Last: it begins to run when the rest stands.
};

BrokerClient::BrokerClient(Loop& loop, Log log, BrokerOptions options, BrokerListener& listener,
                           BrokerMessageHandler* handler)
    : loop_(loop),
      log_(std::move(log)),
      options_(std::move(options)),
      listener_(listener),
      handler_(handler),
      backoff_(options_.reconnect_min, std::max(options_.reconnect_min, options_.reconnect_max)),
      outstanding_(options_.outstanding_max) {
  assert(options_.outstanding_max > 0);
  for (std::uint32_t i = options_.outstanding_max; i > 0; --i) free_tickets_.push_back(i - 1);
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

      // Should the attempt still succeed, Paho would refuse the next one.
      worker_->push({.verb = Worker::Verb::disconnect});
      return wait_to_reconnect("no answer");
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
  if (state_ != State::up) {
    end_early(ticket, PublishFailure::down);
    return ticket;
  }
  Worker::Command command{.verb = Worker::Verb::publish,
                          .topic = std::string(topic),
                          .payload = std::string(payload),
                          .qos = qos,
                          .context = to_context(ticket, entry.generation)};
  for (const auto& [name, value] : properties) command.properties.emplace_back(name, value);
  if (!worker_->try_push(std::move(command))) {
    end_early(ticket, PublishFailure::down);
    return ticket;
  }
  const MonoTime due = loop_.now() + options_.publish_timeout;
  deadlines_.push_back({due, ticket, entry.generation});
  if (!publish_timer_.armed()) loop_.arm(publish_timer_, due);
  return ticket;
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
    if (open) end_publish(next.ticket, PublishFailure::timeout);
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
    if (message.kind == disconnected) {
      loop_.disarm(state_timer_);
      worker_->push({.verb = Worker::Verb::finish});
    } else if (message.kind == destroyed) {
      loop_.disarm(state_timer_);
      worker_.reset();
    }
    return;
  }
  switch (message.kind) {
    case connect_ok: {
      if (state_ != State::connecting) return;
      state_ = State::up;
      loop_.disarm(state_timer_);
      backoff_.reset();
      told_down_ = false;
      log_->info("{}: connected to {}", options_.name, log_safe(options_.uri));
      if (!options_.filters.empty()) worker_->push({.verb = Worker::Verb::subscribe});
      return listener_.on_broker_state(true);
    }
    case connect_failed:
      if (state_ == State::connecting) wait_to_reconnect(failure_text(code));
      return;
    case connection_lost:
      if (state_ == State::up) wait_to_reconnect("connection lost");
      return;
    case subscribe_failed:
      log_->error("{}: the broker refused a subscription: {}", options_.name, failure_text(code));
      return;
    default:
      return;
  }
}

void BrokerClient::close() noexcept {
  if (state_ == State::closing) return;
  const bool was_up = state_ == State::up;
  state_ = State::closing;
  for (std::uint32_t i = 0; i < outstanding_.size(); ++i) {
    if (outstanding_[i].used) end_early(i, PublishFailure::down);
  }
  deadlines_.clear();
  loop_.disarm(state_timer_);
  if (worker_ == nullptr) return;
  if (!was_up) return worker_->push({.verb = Worker::Verb::finish});
  // Never longer than this, however dead the broker is.
  loop_.arm(state_timer_, loop_.now() + disconnect_max);
  worker_->push({.verb = Worker::Verb::disconnect});
}

bool BrokerClient::closed() const noexcept {
  return state_ == State::closing && worker_ == nullptr &&
         posted_.load(std::memory_order_relaxed) == arrived_;
}

}  // namespace tocsin::flow
