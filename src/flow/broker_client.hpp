#pragma once
// Publishes to an existing MQTT broker, on Paho MQTT C++. Paho runs threads of its own; here its
// outcomes become calls on our loop, connecting never ends, and nothing grows without bound.
//
// The loop never calls Paho: Paho holds one process-wide mutex while it resolves names. So a thread
// of the client makes the calls.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tocsin/time.hpp>

#include "base/log.hpp"
#include "flow/backoff.hpp"
#include "flow/loop.hpp"

namespace tocsin::flow {

/// MQTT 5 user property on everything that our egress publishes, so that our subscriptions know
/// their own notifications and never turn them into events.
inline constexpr std::string_view own_message_property = "tocsin-notification";

struct BrokerOptions {
  std::string name;  ///< For log lines.
  std::string uri;   ///< mqtt://host[:1883] or mqtts://host[:8883].
  std::string client_id;
  std::string username;
  std::string password;
  std::string ca_file;  ///< Empty: the system's certificates.
  std::string cert_file;
  std::string key_file;
  bool version_5 = true;
  std::uint16_t keep_alive_s = 30;
  Duration connect_timeout = std::chrono::seconds{10};
  Duration reconnect_min = std::chrono::seconds{1};
  Duration reconnect_max = std::chrono::minutes{2};
  Duration publish_timeout = std::chrono::seconds{10};  ///< Until the broker acknowledged.
  std::uint16_t outstanding_max = 64;                   ///< Publishes without acknowledgement.
};

/// A broker's address in parts, without any look-up.
struct BrokerUri {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const BrokerUri&) const = default;
};
/// Nothing unless the text is mqtt://host[:port] or mqtts://host[:port], IPv6 in brackets, without
/// user, path or query. The host in lower case.
[[nodiscard]] std::optional<BrokerUri> parse_broker_uri(std::string_view text);
/// Whether both lead to one broker, as far as names tell. A host has one broker here, whatever the
/// port: plain and TLS listeners share topics and client ids.
[[nodiscard]] bool same_broker(const BrokerUri& a, const BrokerUri& b);

/// The topic filter that covers every topic that a template such as "out/{rule}/x" can make: a
/// placeholder can become any number of levels.
[[nodiscard]] std::string topic_cover(std::string_view topic_template);

enum class PublishFailure : std::uint8_t {
  down,     ///< Not connected, or the connection was lost before the acknowledgement.
  timeout,  ///< Sent, not acknowledged in time.
  refused,  ///< The broker said no and will again (MQTT 5 reason: topic, payload or size).
  not_authorized,
  throttled,  ///< Quota exceeded.
};

/// Told on the loop's thread.
class BrokerListener {
 public:
  virtual void on_broker_state(bool connected) noexcept { (void)connected; }
  /// The publish that returned `ticket` ended; `failure` is empty when it was acknowledged.
  virtual void on_published(std::uint32_t ticket, std::optional<PublishFailure> failure) noexcept {
    (void)ticket;
    (void)failure;
  }

 protected:
  ~BrokerListener() = default;
};

class BrokerClient final : public Receiver {
 public:
  using Property = std::pair<std::string_view, std::string_view>;

  /// Opens nothing yet. All on the loop's thread.
  BrokerClient(Loop& loop, Log log, BrokerOptions options, BrokerListener& listener);
  /// Normally when closed(); otherwise waits for its thread.
  ~BrokerClient();
  BrokerClient(const BrokerClient&) = delete;
  BrokerClient& operator=(const BrokerClient&) = delete;

  /// Begins to connect on a later turn. Once.
  void open() noexcept;
  [[nodiscard]] bool connected() const noexcept { return state_ == State::up; }
  /// A ticket below outstanding_max, free again once on_published was called for it (never inside
  /// this call). Nothing when `outstanding_max` publishes wait or the client is closing. Down, or
  /// refused at once by the client library, comes back through on_published. While nothing speaks
  /// against the broker yet (the first connection is under way, or one was just lost), a publish
  /// waits for the connection, at most for `publish_timeout`.
  [[nodiscard]] std::optional<std::uint32_t> publish(std::string_view topic,
                                                     std::string_view payload, std::uint8_t qos,
                                                     const std::vector<Property>& properties);
  /// Disconnects. Outstanding publishes end as `down` on a later turn.
  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept;

  void on_message(const Message& message) noexcept override;

 private:
  class Worker;
  enum class State : std::uint8_t { unopened, waiting, connecting, up, closing };
  enum Kind : std::uint32_t {
    connect_ok,
    connect_failed,
    connection_lost,
    publish_ok,
    publish_failed,
    disconnected,
    destroyed,
    ended_early,
  };
  struct Outstanding {
    bool used = false;
    bool held = false;  ///< Waits for the connection.
    std::uint16_t generation = 0;
  };
  struct HeldPublish;
  struct Deadline {
    MonoTime due;
    std::uint32_t ticket;
    std::uint16_t generation;
  };
  /// Connecting and closing.
  class StateTimer final : public Timer {
   public:
    explicit StateTimer(BrokerClient& owner) noexcept : owner_(owner) {}
    void on_timer(MonoTime now) noexcept override { owner_.on_state_timer(now); }

   private:
    BrokerClient& owner_;
  };
  class PublishTimer final : public Timer {
   public:
    explicit PublishTimer(BrokerClient& owner) noexcept : owner_(owner) {}
    void on_timer(MonoTime now) noexcept override { owner_.on_publish_timer(now); }

   private:
    BrokerClient& owner_;
  };

  void on_state_timer(MonoTime now) noexcept;
  void on_publish_timer(MonoTime now) noexcept;
  void connect() noexcept;
  void wait_to_reconnect(std::string_view why) noexcept;
  void become_up() noexcept;
  void hand_to_worker(HeldPublish publish) noexcept;
  void end_publish(std::uint32_t ticket, std::optional<PublishFailure> failure) noexcept;
  void end_all_publishes() noexcept;
  void end_early(std::uint32_t ticket, PublishFailure failure) noexcept;
  void on_state_message(const Message& message) noexcept;
  /// From Paho's threads.
  void post_from_paho(Kind kind, std::int32_t code, void* context) noexcept;

  Loop& loop_;
  Log log_;
  BrokerOptions options_;
  BrokerListener& listener_;
  State state_ = State::unopened;
  bool told_down_ = false;
  bool unreachable_ = false;  // An attempt to connect has failed since the last success.
  Backoff backoff_;
  StateTimer state_timer_{*this};
  PublishTimer publish_timer_{*this};
  std::vector<Outstanding> outstanding_;
  std::vector<std::uint32_t> free_tickets_;
  std::vector<HeldPublish> held_;
  std::deque<Deadline> deadlines_;  // Of publishes, in order: all have the same time.
  // Messages that Paho's threads and we posted, and those that arrived: equal when none is on its
  // way, so that the client may be destroyed.
  std::atomic<std::uint64_t> posted_{0};
  std::uint64_t arrived_ = 0;
  std::unique_ptr<Worker> worker_;
};

}  // namespace tocsin::flow
