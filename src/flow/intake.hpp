#pragma once
// The contract between ingress protocols and decode. One Intake per reactor, on its thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <tocsin/event.hpp>
#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "flow/access.hpp"
#include "flow/batch.hpp"

namespace tocsin::flow {

/// Why an event was not accepted. Closed set: a metric label and the problem type over HTTP.
enum class Refusal : std::uint8_t {
  capacity,  ///< Batch pool exhausted: try again later.
  shutting_down,
  unknown_source,
  inactive_source,
  too_large,
  empty,
  json_syntax,  ///< Includes trailing garbage, BOM, NUL and bad numbers.
  json_utf8,
  json_depth,
  json_number,  ///< A number that no binary64 can hold, such as 1e400.
  envelope,     ///< A required attribute is missing or has the wrong type or form.
  attribute_size,
  content_type,
  entries,        ///< Too many entries in a batch, or not an array.
  topic,          ///< Reserved or invalid topic.
  quota,          ///< A rate is exceeded: try again after Rejection::retry_after.
  access,         ///< The client may not publish this.
  commit_failed,  ///< Accepted, but the journal could not store it.
};
inline constexpr std::size_t refusal_count = static_cast<std::size_t>(Refusal::commit_failed) + 1;
[[nodiscard]] std::string_view to_string(Refusal refusal) noexcept;

struct Rejection {
  Refusal reason = Refusal::json_syntax;
  std::string_view detail{};   ///< For people; static text.
  std::string_view pointer{};  ///< JSON pointer of the culprit, static text, or empty.
  Duration retry_after{0};     ///< With `quota`.
};

enum class Envelope : std::uint8_t {
  api,                 ///< JSON object: part 5's shape, its aliases, or CloudEvents structured.
  cloudevents,         ///< CloudEvents structured JSON only.
  cloudevents_binary,  ///< Attributes beside the payload.
  device,              ///< Plain payload; the topic names the source.
  message,             ///< No event: any payload on any topic, stored for MQTT subscribers only.
};

struct Field {
  std::string_view name;
  std::string_view value;
};

/// What MQTT subscribers get beside topic and payload. The record keeps it (see route_info.hpp), so
/// that routing needs nothing but the journal.
struct MqttMessage {
  std::uint8_t qos = 0;
  bool retain = false;
  std::string_view properties;  ///< Forwarded ones, encoded as on the wire, without their length.
  std::string_view publisher;   ///< Client id, for the "no local" option; empty when nobody asks.
};

/// One event as it came off the wire. All views are valid during the call.
struct RawEvent {
  Envelope envelope = Envelope::api;
  std::string_view payload;       ///< json_padding readable bytes follow.
  std::string_view content_type;  ///< As declared by the sender, or empty.
  std::string_view topic;         ///< MQTT topic, or empty over HTTP.
  /// cloudevents_binary: attributes by name without prefix, decoded. Others: extension attributes
  /// (MQTT 5 user properties, client id...).
  std::span<const Field> attributes;
  /// Of the hop, as the sender wrote it; used when it is well-formed and the event carries none.
  std::string_view traceparent;
  std::optional<Level> level;  ///< Overrides the source's level.
  /// Who must be allowed to publish to the name of the event's source; null: nobody asks.
  const Identity* sender = nullptr;
  const MqttMessage* message = nullptr;  ///< Set when the event came over our MQTT listener.
  /// Of a batch: entries before this one have been dealt with (see EntryVerdicts::postpone).
  std::uint32_t first_entry = 0;
  /// Where no event source matches it is taken as Envelope::message instead of being refused.
  bool message_if_unmatched = false;
};

/// Told that an event which Intake::take() took is refused after all: its payload is no JSON.
class RefusalSink {
 public:
  /// The event's token, which reaches no AckSink now. Must not give the intake another event.
  virtual void on_refused(const AckToken& token, const Rejection& rejection) noexcept = 0;

 protected:
  ~RefusalSink() = default;
};

/// A publish about which nothing but topic and payload says anything. All views are valid during
/// the call.
struct PlainEvent {
  std::string_view topic;
  std::string_view payload;
  std::uint8_t qos = 0;
  bool retain = false;
};

enum class Taken : std::uint8_t {
  yes,
  no_room,  ///< As Refusal::capacity: the same call may be repeated later.
  unusual,  ///< Nothing happened: add() knows what to do with it.
};

/// What became of an accepted event. Views point into the RawEvent's payload or the source table
/// and are valid until the next call.
struct Accepted {
  EventId id;
  std::string_view type;
  std::string_view data;  ///< The event's payload as it stands in the envelope.
};

/// Receives the verdicts of add_all, in order of the entries.
class EntryVerdicts {
 public:
  /// The batch has this many entries. A rejection refuses the body as a whole. Called first.
  virtual Result<void, Rejection> on_count(std::uint32_t) noexcept { return {}; }
  /// The token that entry `index` is acknowledged by. Called before the entry is decoded.
  virtual AckToken token(std::uint32_t index) noexcept = 0;
  virtual void on_entry(std::uint32_t index,
                        const Result<Accepted, Rejection>& verdict) noexcept = 0;
  /// There is no memory for entry `index`, whose token is void. True: add_all() ends here, and is
  /// called again with first_entry = `index` when capacity is back. False: the entry is refused.
  virtual bool postpone(std::uint32_t) noexcept { return false; }

 protected:
  ~EntryVerdicts() = default;
};

enum class BatchForm : std::uint8_t { array, ndjson };

class Intake {
 public:
  virtual ~Intake() = default;

  /// False while the batch pool is exhausted: then protocols stop receiving, keep what they have
  /// and go on after on_ready().
  [[nodiscard]] virtual bool ready() noexcept = 0;
  /// Decodes one event into the open batch. On `capacity` nothing happened and the same call may be
  /// repeated later. Every accepted event's token comes back through AckSink::on_ack.
  virtual Result<Accepted, Rejection> add(const RawEvent& event, const AckToken& ack) noexcept = 0;
  /// The short way for what devices send most: the payload is looked into together with others, at
  /// the end of the turn at the latest, so a refusal comes later and through `refusals`. The caller
  /// has made sure that the sender may publish to the topic.
  [[nodiscard]] virtual Taken take(const PlainEvent& event, const AckToken& ack,
                                   RefusalSink& refusals) noexcept = 0;
  /// Decodes every entry of a batch body (`event.payload`; `event.envelope` is that of each
  /// entry). Returns the number of entries dealt with by now, or why the body as a whole was
  /// refused, in which case no entry was accepted in this call.
  virtual Result<std::uint32_t, Rejection> add_all(const RawEvent& event, BatchForm form,
                                                   EntryVerdicts& verdicts) noexcept = 0;

  /// Told when capacity is back. Registered once per protocol.
  class ReadyListener {
   public:
    virtual void on_ready() noexcept = 0;

   protected:
    ~ReadyListener() = default;
  };
  virtual void add_ready_listener(ReadyListener& listener) = 0;
};

}  // namespace tocsin::flow
