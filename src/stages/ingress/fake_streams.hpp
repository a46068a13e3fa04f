#pragma once
// For the tests of ingress protocols: an Io with nothing but streams and a clock. Client side and
// completions are under the test's control.

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/still_io.hpp"

namespace tocsin::ingress::test {

class FakeStreams : public testing::StillIo {
 public:
  struct Stream {
    io::StreamHandler* handler = nullptr;
    std::string sent;                    ///< What the server has sent.
    std::span<const std::byte> sending;  ///< Taken over only when it completes.
    std::uint32_t sends = 0;
    bool receiving = false;
    bool stuck = false;  ///< Takes no bytes: sends do not complete.
    bool closing = false;
    bool closed = false;
  };

  // --- the test's side --------------------------------------------------------------------------
  /// Born closed when the server declines.
  Stream& connect_client() {
    streams.push_back(std::make_unique<Stream>());
    const io::StreamId id{.slot = static_cast<std::uint32_t>(streams.size() - 1), .generation = 1};
    Stream& stream = *streams.back();
    stream.handler = acceptor->on_accept(id, {});
    stream.closed = stream.handler == nullptr;
    return stream;
  }
  /// Bytes that the kernel had already handed over arrive even when receiving was stopped. Foreign
  /// bytes stand behind them, and in their place afterwards.
  static void deliver(Stream& stream, std::string_view bytes) {
    if (stream.closing) return;
    std::string padded(bytes);
    padded.append(64, '?');
    stream.handler->on_data(std::as_bytes(std::span(padded)).first(bytes.size()));
    std::fill(padded.begin(), padded.end(), '#');
  }

  std::vector<std::unique_ptr<Stream>> streams;
  io::AcceptHandler* acceptor = nullptr;  ///< Null when nobody listens.
  io::Endpoint endpoint;                  ///< Where somebody listens, or did last.

  // --- Io ---------------------------------------------------------------------------------------
  Result<io::ListenerId, io::Errno> listen(const io::Endpoint& where, bool,
                                           io::AcceptHandler& handler) override {
    acceptor = &handler;
    endpoint = where;
    return io::ListenerId{.slot = 0};
  }
  io::Endpoint local_endpoint(io::ListenerId) const override { return endpoint; }
  void close_listener(io::ListenerId) override { acceptor = nullptr; }
  void receive_start(io::StreamId id) override { streams[id.slot]->receiving = true; }
  void receive_stop(io::StreamId id) override { streams[id.slot]->receiving = false; }
  void send(io::StreamId id, std::span<const std::byte> bytes) override {
    Stream& stream = *streams[id.slot];
    if (!stream.sending.empty() || stream.closing || bytes.empty()) std::abort();
    stream.sending = bytes;
    ++stream.sends;
  }
  void close(io::StreamId id) override {
    if (streams[id.slot]->closing) std::abort();
    streams[id.slot]->closing = true;
  }
  void poll(MonoTime) override {
    for (std::size_t i = 0; i < streams.size(); ++i) {
      Stream& stream = *streams[i];
      if (!stream.closing && !stream.stuck && !stream.sending.empty()) {
        stream.sent.append(reinterpret_cast<const char*>(stream.sending.data()),
                           stream.sending.size());
        stream.sending = {};
        stream.handler->on_sent(0);
      }
      if (stream.closing && !stream.closed) {
        stream.closed = true;
        stream.handler->on_closed();
      }
    }
  }
};

}  // namespace tocsin::ingress::test
