#pragma once
// The state that the simulated kernel keeps for one Io: its completions and its handles.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <tocsin/time.hpp>

#include "io/io.hpp"

namespace tocsin::io {

/// Never reused within a world.
using SocketId = std::uint64_t;
using NodeId = std::size_t;

/// How the process behind an Io goes.
enum class SimEnd : std::uint8_t {
  exit,       ///< The Io was destroyed.
  killed,     ///< kill -9: its connections are reset.
  power_cut,  ///< Nobody tells the peers anything.
};

struct SimProcess {
  struct StreamSlot {
    std::uint32_t generation = 0;
    std::optional<SocketId> socket;
  };
  struct OpenFile {
    NodeId node = 0;
    OpenMode mode = OpenMode::read;
    std::uint32_t inflight = 0;
    bool open = false;
  };

  std::uint32_t ordinal = 0;
  bool remote = false;  ///< On another machine: neither power cuts nor kills concern it.
  bool dead = false;
  std::atomic<bool> woken = false;  // wake() may come from any thread.
  bool in_poll = false;
  IoOptions options;
  Duration boot{};                      ///< World time minus this machine's monotonic time.
  MonoTime wants_at = MonoTime::min();  ///< World time at which it asked to run again.
  std::uint64_t posted = 0;             ///< Completions ever, to see whether there are new ones.
  std::deque<std::function<void()>> ready;
  std::vector<StreamSlot> streams;
  std::vector<std::uint32_t> free_streams;
  std::vector<OpenFile> files;

  void post(std::function<void()> completion) {
    if (dead) return;
    ++posted;
    ready.push_back(std::move(completion));
  }
  [[nodiscard]] bool streams_full() const noexcept {
    return streams.size() - free_streams.size() >= options.streams_max;
  }
  [[nodiscard]] StreamId add_stream(SocketId socket) {
    if (free_streams.empty()) {
      free_streams.push_back(static_cast<std::uint32_t>(streams.size()));
      streams.emplace_back();
    }
    const std::uint32_t slot = free_streams.back();
    free_streams.pop_back();
    streams[slot].socket = socket;
    return {slot, streams[slot].generation};
  }
  void remove_stream(StreamId stream) {
    StreamSlot& slot = streams[stream.slot];
    slot.socket.reset();
    ++slot.generation;
    free_streams.push_back(stream.slot);
  }
  /// Nothing when the handle is stale.
  [[nodiscard]] std::optional<SocketId> find_stream(StreamId stream) const noexcept {
    if (stream.slot >= streams.size()) return std::nullopt;
    const StreamSlot& slot = streams[stream.slot];
    return slot.generation == stream.generation ? slot.socket : std::nullopt;
  }
};

}  // namespace tocsin::io
