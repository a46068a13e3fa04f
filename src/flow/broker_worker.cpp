#include "flow/broker_worker.hpp"

#include <algorithm>
#include <atomic>

#include <fmt/format.h>
#include <mqtt/async_client.h>

namespace tocsin::flow {
namespace {

// Paho's wrapper still touches its client for a moment after it told us that it is done.
constexpr Duration paho_grace = std::chrono::milliseconds{100};

std::string paho_uri(const BrokerUri& uri) {
  const bool v6 = uri.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", uri.tls ? "ssl" : "tcp", v6 ? "[" : "", uri.host,
                     v6 ? "]" : "", uri.port);
}

}  // namespace

/// The Paho side: everything that its threads call, and everything that may throw.
class BrokerClient::Worker::Paho final : public mqtt::callback {
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
  void disconnect() {
    client_.disconnect(static_cast<int>(broker_disconnect_max / std::chrono::milliseconds{1}),
                       nullptr, disconnect_);
  }
  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
               const std::vector<std::pair<std::string, std::string>>& properties, void* context) {
    auto message = mqtt::make_message(std::string(topic), payload.data(), payload.size(),
                                      std::min<int>(qos, connect_.qos_max()), /*retained=*/false);
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
  class Action : public mqtt::iaction_listener {
   public:
    Action(BrokerClient& owner, Kind ok, Kind failed) noexcept
        : owner_(owner), ok_(ok), failed_(failed) {}
    void on_success(const mqtt::token& token) override {
      owner_.post_from_paho(ok_, 0, token.get_user_context());
    }
    void on_failure(const mqtt::token& token) override {
      // MQTT 5 gives a reason code, 3.1.1 only the library's return code.
      const auto reason = static_cast<std::int32_t>(token.get_reason_code());
      owner_.post_from_paho(failed_, reason >= 0x80 ? reason : token.get_return_code(),
                            token.get_user_context());
    }

   private:
    BrokerClient& owner_;
    Kind ok_;
    Kind failed_;
  };

  /// Remembers what the broker takes: publishing above its Maximum QoS (MQTT 5.0 section 3.2.2.3.4)
  /// would end the connection again and again.
  class Connect final : public Action {
   public:
    using Action::Action;
    void on_success(const mqtt::token& token) override {
      const mqtt::connect_response answer = token.get_connect_response();
      const mqtt::properties& given = answer.get_properties();
      qos_max_ = given.contains(mqtt::property::MAXIMUM_QOS)
                     ? mqtt::get<std::uint8_t>(given, mqtt::property::MAXIMUM_QOS)
                     : 2;
      Action::on_success(token);
    }
    [[nodiscard]] int qos_max() const noexcept { return qos_max_; }

   private:
    std::atomic<int> qos_max_ = 2;  // Written by Paho's thread, read by the worker.
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

  BrokerClient& owner_;
  Connect connect_{owner_, Kind::connect_ok, Kind::connect_failed};
  Action publish_{owner_, Kind::publish_ok, Kind::publish_failed};
  Action disconnect_{owner_, Kind::disconnected, Kind::disconnected};
  mqtt::connect_options connect_options_;
  mqtt::async_client client_;
};

BrokerClient::Worker::Worker(BrokerClient& owner, BrokerUri uri)
    : owner_(owner), uri_(std::move(uri)), thread_([this] { run(); }) {}

BrokerClient::Worker::~Worker() {
  push({.verb = Verb::finish});
  thread_.join();
}

void BrokerClient::Worker::push(Command command) {
  const std::lock_guard guard(mutex_);
  commands_.push_back(std::move(command));
  ready_.notify_one();
}

bool BrokerClient::Worker::try_push(Command command) {
  const std::lock_guard guard(mutex_);
  if (commands_.size() >= owner_.options_.outstanding_max) return false;
  commands_.push_back(std::move(command));
  ready_.notify_one();
  return true;
}

void BrokerClient::Worker::run() {
  for (;;) {
    Command command = next();
    if (command.verb == Verb::finish) break;
    execute(command);
  }
  if (paho_ != nullptr) std::this_thread::sleep_for(paho_grace);
  paho_.reset();
  owner_.post_from_paho(destroyed, 0, nullptr);
}

BrokerClient::Worker::Command BrokerClient::Worker::next() {
  std::unique_lock guard(mutex_);
  ready_.wait(guard, [this] { return !commands_.empty(); });
  Command command = std::move(commands_.front());
  commands_.pop_front();
  return command;
}

void BrokerClient::Worker::execute(const Command& command) noexcept {
  try {
    if (paho_ == nullptr) paho_ = std::make_unique<Paho>(owner_, uri_);
    switch (command.verb) {
      case Verb::connect:
        return paho_->connect();
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

void BrokerClient::Worker::fail(const Command& command, std::int32_t code) noexcept {
  switch (command.verb) {
    case Verb::connect:
      return owner_.post_from_paho(connect_failed, code, nullptr);
    case Verb::publish:
      return owner_.post_from_paho(publish_failed, code, command.context);
    case Verb::disconnect:
      return owner_.post_from_paho(disconnected, code, nullptr);
    case Verb::finish:
      return;
  }
}

}  // namespace tocsin::flow
