#pragma once
// A world for the tests of this folder: the streams of ingress, and an intake that does what it is
// told.

#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "stages/ingress/fake_streams.hpp"

namespace tocsin::ingress {

/// Streams by number, and randomness without repetition.
class FakeIo final : public test::FakeStreams {
 public:
  /// A client connects; its number, or nothing when the server declined.
  std::optional<std::uint32_t> accept() {
    if (connect_client().closed) return std::nullopt;
    return static_cast<std::uint32_t>(streams.size() - 1);
  }
  void arrive(std::uint32_t client, std::string_view bytes) { deliver(*streams[client], bytes); }
  void random(std::span<std::byte> into) noexcept override {
    for (std::byte& byte : into) byte = static_cast<std::byte>(++seed_);
  }

 private:
  unsigned seed_ = 0;
};

class FakeIntake final : public flow::Intake {
 public:
  struct Event {
    flow::Envelope envelope;
    std::string topic;
    std::string payload;
    std::string content_type;
    std::string attributes;
    std::string traceparent;
    flow::AckToken token;
    std::uint8_t qos = 0;
    bool retain = false;
    std::string properties;
    std::string publisher;
  };

  bool ready() noexcept override { return capacity > 0; }
  Result<flow::Accepted, flow::Rejection> add(const flow::RawEvent& raw,
                                              const flow::AckToken& ack) noexcept override {
    if (capacity == 0) return Unexpected{flow::Rejection{flow::Refusal::capacity}};
    if (refuse) return Unexpected{flow::Rejection{*refuse}};
    --capacity;
    // The contract of RawEvent::payload: these bytes may be read.
    volatile char sum = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      sum = static_cast<char>(sum + raw.payload.data()[raw.payload.size() + i]);
    }
    Event event{raw.envelope,
                std::string(raw.topic),
                std::string(raw.payload),
                std::string(raw.content_type),
                {},
                std::string(raw.traceparent),
                ack,
                0,
                false,
                {},
                {}};
    if (raw.message != nullptr) {
      event.qos = raw.message->qos;
      event.retain = raw.message->retain;
      event.properties = raw.message->properties;
      event.publisher = raw.message->publisher;
    }
    for (const flow::Field& field : raw.attributes) {
      event.attributes.append(field.name).append("=").append(field.value).append(";");
    }
    events.push_back(std::move(event));
    return flow::Accepted{};
  }
  flow::Taken take(const flow::PlainEvent&, const flow::AckToken&,
                   flow::RefusalSink&) noexcept override {
    return flow::Taken::unusual;
  }
  Result<std::uint32_t, flow::Rejection> add_all(const flow::RawEvent&, flow::BatchForm,
                                                 flow::EntryVerdicts&) noexcept override {
    return Unexpected{flow::Rejection{}};
  }
  void add_ready_listener(ReadyListener& listener) override { listeners.push_back(&listener); }

  void ack_all(bool stored = true) {
    for (; acked < events.size(); ++acked) {
      const flow::AckToken& token = events[acked].token;
      if (token.sink != nullptr) token.sink->on_ack(token, stored);
    }
  }
  void make_ready(std::size_t n) {
    capacity = n;
    for (ReadyListener* listener : listeners) listener->on_ready();
  }

  std::vector<Event> events;
  std::vector<ReadyListener*> listeners;
  std::size_t acked = 0;
  std::size_t capacity = 1'000'000;
  std::optional<flow::Refusal> refuse;
};

}  // namespace tocsin::ingress
