#pragma once
// A world for the tests of this folder: an Io whose peers are strings, and an intake that does what
// it is told.

#include <cassert>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "tests/support/still_io.hpp"

namespace tocsin::ingress {

/// Streams only. Time moves when a test says so; poll() never waits.
class FakeIo final : public testing::StillIo {
 public:
  struct Peer {
    io::StreamHandler* handler = nullptr;
    std::string received;  ///< What the server has sent.
    std::vector<std::size_t> sends;
    bool receiving = false;
    bool stuck = false;  ///< Takes no bytes: a send never completes.
    bool closed = false;
    bool sent_due = false;
    bool close_due = false;
  };

  Result<io::ListenerId, io::Errno> listen(const io::Endpoint&, bool,
                                           io::AcceptHandler& handler) override {
    acceptor = &handler;
    return io::ListenerId{0};
  }
  void close_listener(io::ListenerId) override { acceptor = nullptr; }
  void receive_start(io::StreamId stream) override { peers[stream.slot].receiving = true; }
  void receive_stop(io::StreamId stream) override { peers[stream.slot].receiving = false; }
  void send(io::StreamId stream, std::span<const std::byte> bytes) override {
    Peer& peer = peers[stream.slot];
    assert(!peer.sent_due && !peer.closed && !bytes.empty());
    peer.received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    peer.sends.push_back(bytes.size());
    peer.sent_due = true;
  }
  void close(io::StreamId stream) override {
    Peer& peer = peers[stream.slot];
    assert(!peer.closed);
    peer.closed = true;
    peer.close_due = true;
  }
  void random(std::span<std::byte> into) noexcept override {
    for (std::byte& byte : into) byte = static_cast<std::byte>(++seed_);
  }
  void poll(MonoTime) override {
    for (auto& [slot, peer] : peers) {
      if (peer.close_due) {
        peer.close_due = false;
        peer.handler->on_closed();
      } else if (peer.sent_due && !peer.stuck && !peer.closed) {
        peer.sent_due = false;
        peer.handler->on_sent(0);
      }
    }
  }

  /// A client connects; its number, or nothing when the server declined.
  std::optional<std::uint32_t> accept() {
    const std::uint32_t slot = next_slot_++;
    Peer& peer = peers[slot];
    peer.handler = acceptor->on_accept({slot, 1}, {});
    if (peer.handler == nullptr) return std::nullopt;
    return slot;
  }
  /// The client's bytes arrive as one chunk, with 64 foreign bytes behind them.
  void arrive(std::uint32_t slot, std::string_view bytes) {
    if (peers[slot].closed) return;
    std::string chunk(bytes);
    chunk.append(64, '\x55');
    peers[slot].handler->on_data({reinterpret_cast<const std::byte*>(chunk.data()), bytes.size()});
  }

  std::map<std::uint32_t, Peer> peers;
  io::AcceptHandler* acceptor = nullptr;

 private:
  std::uint32_t next_slot_ = 0;
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
                ack};
    for (const flow::Field& field : raw.attributes) {
      event.attributes.append(field.name).append("=").append(field.value).append(";");
    }
    events.push_back(std::move(event));
    return flow::Accepted{};
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
