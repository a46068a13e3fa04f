#pragma once
// For tests: the streams of ingress, an Intake that records what it is given, and a router.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flow/intake.hpp"
#include "flow/loop.hpp"
#include "stages/ingress/fake_streams.hpp"
#include "stages/ingress/http/router.hpp"

namespace tocsin::ingress::test {

/// Without a clock that can be believed: answers carry no Date.
class FakeIo final : public FakeStreams {
 public:
  FakeIo() { trusted = false; }
};

class FakeIntake final : public flow::Intake {
 public:
  struct Event {
    flow::Envelope envelope;
    std::string payload;
    std::string content_type;
    std::string traceparent;
    std::optional<Level> level;
    std::map<std::string, std::string> attributes;
  };

  bool ready() noexcept override { return is_ready; }
  Result<flow::Accepted, flow::Rejection> add(const flow::RawEvent& event,
                                              const flow::AckToken& ack) noexcept override {
    note(event);
    if (refuse) return Unexpected{*refuse};
    if (room == 0) return Unexpected{flow::Rejection{.reason = flow::Refusal::capacity}};
    --room;
    acks.push_back(ack);
    return flow::Accepted{.id = {.hi = 1, .lo = next_id++}, .type = "a\"b", .data = "{\"x\":1}"};
  }
  flow::Taken take(const flow::PlainEvent&, const flow::AckToken&,
                   flow::RefusalSink&) noexcept override {
    return flow::Taken::unusual;
  }
  /// Entries are separated by ',' or line feeds; an entry that contains "bad" is refused, and one
  /// for which `room` is used up has to wait.
  Result<std::uint32_t, flow::Rejection> add_all(const flow::RawEvent& event, flow::BatchForm form,
                                                 flow::EntryVerdicts& verdicts) noexcept override {
    note(event);
    forms.push_back(form);
    if (refuse) return Unexpected{*refuse};
    const char separator = form == flow::BatchForm::array ? ',' : '\n';
    std::string_view rest = event.payload;
    if (form == flow::BatchForm::array) rest = rest.substr(1, rest.size() - 2);
    const auto separators = std::count(rest.begin(), rest.end(), separator);
    const auto entries = static_cast<std::uint32_t>(rest.empty() ? 0 : separators + 1);
    if (const auto check = verdicts.on_count(entries); !check) return Unexpected{check.error()};
    std::uint32_t index = 0;
    for (; !rest.empty(); ++index) {
      const std::string_view entry = rest.substr(0, rest.find(separator));
      rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
      if (index < event.first_entry) continue;
      const flow::AckToken token = verdicts.token(index);
      if (room == 0) {
        if (verdicts.postpone(index)) break;
        verdicts.on_entry(index, Unexpected{flow::Rejection{.reason = flow::Refusal::capacity}});
        continue;
      }
      --room;
      if (entry.find("bad") != entry.npos) {
        verdicts.on_entry(index, Unexpected{entry_refusal});
        continue;
      }
      acks.push_back(token);
      verdicts.on_entry(
          index, flow::Accepted{.id = {.hi = 1, .lo = next_id++}, .type = "t", .data = entry});
    }
    return index;
  }
  void add_ready_listener(ReadyListener& added) override { listener = &added; }

  void settle(std::size_t index, bool stored) { acks[index].sink->on_ack(acks[index], stored); }
  void set_ready() {
    is_ready = true;
    listener->on_ready();
  }

  bool is_ready = true;
  std::uint32_t room = UINT32_MAX;  ///< Events that find memory.
  std::optional<flow::Rejection> refuse;
  flow::Rejection entry_refusal{
      .reason = flow::Refusal::unknown_source, .detail = "no such source", .pointer = "/event"};
  std::vector<Event> events;
  std::vector<flow::BatchForm> forms;
  std::vector<flow::AckToken> acks;
  std::uint64_t next_id = 1;
  ReadyListener* listener = nullptr;

 private:
  void note(const flow::RawEvent& event) {
    Event copy{.envelope = event.envelope,
               .payload = std::string(event.payload),
               .content_type = std::string(event.content_type),
               .traceparent = std::string(event.traceparent),
               .level = event.level,
               .attributes = {}};
    for (const flow::Field& field : event.attributes) {
      copy.attributes.emplace(field.name, field.value);
    }
    events.push_back(std::move(copy));
  }
};

class FakeRouter final : public HttpRouter {
 public:
  bool handle(const HttpRequest& request, HttpReply& reply) noexcept override {
    if (request.path == "/readonly") {
      reply.status = 405;
      reply.allow = "GET, HEAD";
      return true;
    }
    if (request.path == "/large") {
      reply.body.assign(large_size, 'l');
      return true;
    }
    if (request.path != "/healthz") return false;
    reply.body = "ok\n";
    return true;
  }
  std::size_t large_size = 3000;
};

}  // namespace tocsin::ingress::test
