#pragma once
// The responses of one connection: composed in the order of their requests, released in that same
// order, each when its events are acknowledged.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/byte_buffer.hpp"
#include "protocol/http/serializer.hpp"

namespace tocsin::ingress {

enum class AnswerKind : std::uint8_t {
  final,   ///< Does not depend on acknowledgements.
  single,  ///< One event.
  batch,   ///< One line of the body per event, after a first line.
};

class ResponseQueue {
 public:
  /// At most `capacity`, rounded up to a power of two, responses wait. `budget` is charged for
  /// their bytes.
  ResponseQueue(std::uint32_t capacity, ByteBudget& budget);

  [[nodiscard]] bool full() const noexcept { return count_ == entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept { return text_.size(); }

  // --- composing: one response at a time ---------------------------------------------------------
  /// Begins the next response and returns its ordinal, which names it in settle(). Not when full.
  [[nodiscard]] std::uint32_t begin() noexcept;
  /// The response being composed waits for one acknowledgement more / for none of those expected.
  void expect_ack() noexcept;
  void expect_no_ack() noexcept;
  void unexpect_ack() noexcept;
  /// Its bytes: appended here.
  [[nodiscard]] ByteBuffer& text() noexcept { return text_; }
  /// Ends composing. `persistence` is what a substitute would say.
  void end(AnswerKind kind, http::Persistence persistence) noexcept;

  // --- acknowledgements --------------------------------------------------------------------------
  /// Event `index` of response `ordinal` got its acknowledgement. Unknown ordinals are ignored.
  void settle(std::uint32_t ordinal, std::uint32_t index, bool stored) noexcept;
  [[nodiscard]] bool front_ready() const noexcept;

  /// Composes what is sent instead when events could not be stored.
  class Substitute {
   public:
    /// `failed`: indexes of the events, in any order. False when out of memory.
    virtual bool substitute(std::string_view response, AnswerKind kind,
                            http::Persistence persistence, std::span<const std::uint32_t> failed,
                            ByteBuffer& out) noexcept = 0;

   protected:
    ~Substitute() = default;
  };
  /// Moves every response that may leave to `out`. False when out of memory: close.
  [[nodiscard]] bool take_ready(ByteBuffer& out, Substitute& substitute) noexcept;

  void clear() noexcept;
  /// Gives memory back; only when empty.
  void release() noexcept;
  [[nodiscard]] std::size_t capacity() const noexcept { return text_.capacity(); }

 private:
  struct Entry {
    std::uint32_t size = 0;
    std::uint32_t outstanding = 0;
    AnswerKind kind = AnswerKind::final;
    http::Persistence persistence = http::Persistence::implied;
    bool composing = false;
    bool failed = false;
  };
  struct Failure {
    std::uint32_t ordinal;
    std::uint32_t index;
  };
  [[nodiscard]] Entry& at(std::uint32_t ordinal) noexcept;
  [[nodiscard]] bool move(std::size_t size, ByteBuffer& out) noexcept;
  [[nodiscard]] bool move_failed(const Entry& entry, ByteBuffer& out,
                                 Substitute& substitute) noexcept;

  std::vector<Entry> entries_;  // Ring; a power of two, so that ordinals may wrap around.
  std::uint32_t front_ = 0;     // Ordinal of the oldest.
  std::uint32_t count_ = 0;
  std::size_t composed_ = 0;  // Where the response being composed begins.
  ByteBuffer text_;
  std::vector<Failure> failures_;  // Failed commits are rare: empty nearly always.
};

}  // namespace tocsin::ingress
