// Goal: no broker can make the session misbehave: bytes in one piece and one by one lead to the
// same messages, answers and end, and never more messages wait than may.
// Input: one byte (version, QoS), then what the broker sends.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "stages/ingress/subscription/session.hpp"

namespace {

using tocsin::ingress::AckWindow;
using tocsin::ingress::SubscriberSession;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Run final : SubscriberSession::Handler {
  Run(std::uint8_t kind, std::string_view bytes, std::size_t step)
      : session({.version_5 = (kind & 1U) != 0,
                 .client_id = "us",
                 .session_expiry_s = 60,
                 .receive_max = 4,
                 .packet_size_max = 300,
                 .filters = {"a", "b"},
                 .qos = static_cast<std::uint8_t>(kind >> 1U & 2U)},
                *this) {
    session.begin();
    std::string input;
    while (!bytes.empty()) {
      input += bytes.substr(0, step);
      bytes.remove_prefix(step < bytes.size() ? step : bytes.size());
      if (!drain(input)) return;
      require(step > 1 || input.size() <= 70'000);
    }
  }
  bool drain(std::string& input) {
    for (;;) {
      // A copy of exactly this size lets the sanitizer see every read beyond it.
      const auto copy = std::make_unique<char[]>(input.size());
      input.copy(copy.get(), input.size());
      std::size_t consumed = 0;
      const auto status = session.feed({copy.get(), input.size()}, consumed);
      require(consumed <= input.size() && session.unacknowledged() <= 4);
      input.erase(0, consumed);
      if (status == SubscriberSession::Status::failed) {
        log += session.failure().why;
        return false;
      }
      if (status == SubscriberSession::Status::more) return true;
      session.write_acks();
      output += session.output();
      session.output().clear();
    }
  }
  SubscriberSession::Taken on_publish(const tocsin::mqtt::Publish& message,
                                      AckWindow::Number) noexcept override {
    log.append(message.topic).append("=").append(message.payload).append(";");
    return SubscriberSession::Taken::done;
  }
  void on_skipped(std::size_t size) noexcept override { log += std::to_string(size); }
  void on_subscribed(std::uint8_t granted_qos) noexcept override {
    log += static_cast<char>('0' + granted_qos);
  }
  std::string log;
  std::string output;
  SubscriberSession session;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  require(Run(data[0], bytes, SIZE_MAX).log == Run(data[0], bytes, 1).log);
  return 0;
}
