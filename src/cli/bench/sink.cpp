#include "cli/bench/sink.hpp"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "cli/bench/mqtt_sender.hpp"
#include "cli/bench/run.hpp"
#include "flow/loop.hpp"
#include "io/backends.hpp"

namespace tocsin::cli::bench {
namespace {

constexpr std::uint32_t peers_max = 65'536;
constexpr std::string_view accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::string_view length_field = "Content-Length: ";

}  // namespace

SinkPeer::SinkPeer(io::Io& io, Tally& tally) : Connection(io, tally, mqtt_packet_size_max / 16) {}

void SinkPeer::answer(std::string_view text) noexcept {
  if (text.size() > room().size()) return fail("the peer does not read its answers");
  std::memcpy(room().data(), text.data(), text.size());
  wrote(text.size());
}

std::size_t SinkPeer::on_bytes(std::string_view bytes) noexcept {
  if (speech_ == Speech::unknown) {
    speech_ = bytes.starts_with("POST") ? Speech::http : Speech::mqtt;
  }
  const std::size_t used = speech_ == Speech::http ? on_http(bytes) : on_mqtt(bytes);
  flush();
  return failed() ? bytes.size() : used;
}

std::size_t SinkPeer::on_mqtt(std::string_view bytes) noexcept {
  const std::size_t used =
      for_each_packet(bytes, [this](const mqtt::Frame& frame) { on_packet(frame); });
  if (used == SIZE_MAX) fail("not MQTT");
  return used;
}

void SinkPeer::on_packet(const mqtt::Frame& frame) noexcept {
  switch (frame.type) {
    case mqtt::PacketType::connect:
      if (mqtt::peek_protocol_level(frame) == 4) version_ = mqtt::Version::v3_1_1;
      wrote(mqtt::write_connack(room(), {}, version_));
      break;
    case mqtt::PacketType::publish: {
      const unsigned qos = frame.flags >> 1U & 3U;
      if (qos == 0) return;
      const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(frame.body[at]); };
      if (frame.body.size() < 4) return fail("not MQTT");
      const std::size_t at = 2 + static_cast<std::size_t>(byte(0) << 8U | byte(1));
      if (frame.body.size() < at + 2) return fail("not MQTT");
      const std::array ack{qos == 1 ? '\x40' : '\x50', '\x02', frame.body[at], frame.body[at + 1]};
      answer({ack.data(), ack.size()});
      break;
    }
    case mqtt::PacketType::pubrel: {
      if (frame.body.size() < 2) return fail("not MQTT");
      const std::array ack{'\x70', '\x02', frame.body[0], frame.body[1]};
      answer({ack.data(), ack.size()});
      break;
    }
    case mqtt::PacketType::pingreq:
      wrote(mqtt::write_pingresp(room()));
      break;
    default:
      break;
  }
}

std::size_t SinkPeer::on_http(std::string_view bytes) noexcept {
  std::size_t used = 0;
  for (;;) {
    const auto end = bytes.find(head_end, used);
    if (end == bytes.npos) return used;
    const auto head = bytes.substr(used, end - used);
    const auto at = head.find(length_field);
    std::size_t length = 0;
    if (at != head.npos) {
      const auto digits = head.substr(at + length_field.size());
      std::from_chars(digits.data(), digits.data() + digits.size(), length);
    }
    if (length > bytes.size() - end - head_end.size()) return used;
    used = end + head_end.size() + length;
    answer(accepted);
  }
}

io::StreamHandler* Sink::on_accept(io::StreamId stream, const io::Endpoint& /*peer*/) noexcept {
  const auto gone =
      std::find_if(peers_.begin(), peers_.end(), [](const auto& peer) { return peer->closed(); });
  auto fresh = std::make_unique<SinkPeer>(io_, tally_);
  SinkPeer* const peer = fresh.get();
  if (gone != peers_.end()) {
    *gone = std::move(fresh);
  } else if (peers_.size() < peers_max) {
    peers_.push_back(std::move(fresh));
  } else {
    return nullptr;
  }
  peer->adopt(stream);
  return peer;
}

Result<void, std::string> run_sink(std::uint16_t port) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  raise_file_limit();
  const auto choice = io::choose_backend("auto");
  if (!choice) return Unexpected{choice.error()};
  auto io = io::make_io(choice->backend, io_options);
  if (!io) return Unexpected{io.error()};
  Sink sink(**io);
  io::Endpoint endpoint = *io::parse_endpoint("127.0.0.1:0");
  endpoint.port = port;
  const auto listener = (*io)->listen(endpoint, false, sink);
  if (!listener) {
    return Unexpected{fmt::format("cannot listen on {}: {}", io::to_string(endpoint),
                                  errno_text(listener.error()))};
  }
  fmt::print("sink on {}\n", io::to_string((*io)->local_endpoint(*listener)));
  std::fflush(stdout);
  flow::Loop loop(**io, "sink");
  std::jthread waiter([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    loop.stop();
  });
  loop.run();
  return {};
}

}  // namespace tocsin::cli::bench
