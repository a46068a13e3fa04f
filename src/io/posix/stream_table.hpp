#pragma once
// The connections of one Io: slots that are reused with a new generation, so that a handle or an
// event of the past is recognized.

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "io/io.hpp"

namespace tocsin::io::posix {

/// `Stream` has `UniqueFd socket`, `std::uint32_t generation` and `bool closing`. A slot is in use
/// while its socket is valid.
template <class Stream>
class StreamTable {
 public:
  static constexpr unsigned generation_bits = 24;
  static constexpr std::uint32_t generation_mask = (1U << generation_bits) - 1;

  explicit StreamTable(std::uint32_t streams_max) : streams_max_(streams_max) {
    // Reserved address space; memory is touched only as streams come. It is never reallocated:
    // references stay valid across callbacks.
    streams_.reserve(streams_max);
    free_.reserve(streams_max);
  }

  /// ENOBUFS when all slots are taken (the socket is closed then).
  [[nodiscard]] Result<StreamId, Errno> allocate(UniqueFd socket) {
    std::uint32_t slot = 0;
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    } else if (streams_.size() < streams_max_) {
      slot = static_cast<std::uint32_t>(streams_.size());
      streams_.emplace_back();
    } else {
      return Unexpected{ENOBUFS};
    }
    assert(!streams_[slot].socket.valid());
    streams_[slot].socket = std::move(socket);
    return StreamId{slot, streams_[slot].generation};
  }
  /// Empties a slot, closes its socket, and offers it again.
  void release(std::uint32_t slot) {
    const std::uint32_t generation = (streams_[slot].generation + 1) & generation_mask;
    streams_[slot] = Stream{};
    streams_[slot].generation = generation;
    free_.push_back(slot);
  }

  /// Null when the handle is stale.
  [[nodiscard]] Stream* current(StreamId id) noexcept {
    if (id.slot >= streams_.size()) return nullptr;
    Stream& stream = streams_[id.slot];
    return stream.socket.valid() && stream.generation == id.generation ? &stream : nullptr;
  }
  /// Null also when the stream is being closed: what owners may still act on.
  [[nodiscard]] Stream* open(StreamId id) noexcept {
    Stream* const stream = current(id);
    return stream != nullptr && !stream->closing ? stream : nullptr;
  }
  /// Every slot, in use or not.
  [[nodiscard]] std::vector<Stream>& slots() noexcept { return streams_; }

 private:
  std::uint32_t streams_max_;
  std::vector<Stream> streams_;
  std::vector<std::uint32_t> free_;
};

}  // namespace tocsin::io::posix
