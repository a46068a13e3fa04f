#pragma once
// Reads the good blocks of one segment in order and steps over everything else.

#include <cstdint>
#include <span>
#include <string>

#include "flow/block.hpp"
#include "io/io.hpp"
#include "stages/journal/segment.hpp"

namespace tocsin::journal {

/// Blocking; on the thread of its Io. Holds one file and a window of it.
class SegmentReader {
 public:
  enum class Step : std::uint8_t {
    block,   ///< block() is the next good block.
    end,     ///< No further good block below the limit.
    newer,   ///< An intact block of a version that this program does not know.
    failed,  ///< The disk refused; see error().
  };

  explicit SegmentReader(io::Io& io) noexcept : io_(io) {}
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;
  ~SegmentReader() { close(); }

  /// Begins at the first block. Nothing from `limit` on is looked at.
  [[nodiscard]] Result<void, io::Errno> open(const std::string& path, std::uint64_t tag,
                                             std::uint64_t limit);
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  /// More of the file became good: next() continues where it stood.
  void set_limit(std::uint64_t limit) noexcept { limit_ = limit; }

  /// Finds the next good block: this segment's tag, base sequence >= `sequence_min`, header and
  /// every record intact.
  [[nodiscard]] Step next(std::uint64_t sequence_min);
  /// Valid until the next call of next().
  [[nodiscard]] const flow::BlockView& block() const noexcept { return *block_; }
  /// Bytes stepped over between the last good block and this one, padding aside.
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }
  /// End of the last good block.
  [[nodiscard]] std::uint64_t block_end() const noexcept { return block_end_; }
  /// … of its page.
  [[nodiscard]] std::uint64_t good_end() const noexcept { return align_to_page(block_end_); }
  /// After Step::end: bytes after the last good block up to the last that is not zero.
  [[nodiscard]] std::uint64_t tail() const noexcept {
    return nonzero_end_ > block_end_ ? nonzero_end_ - block_end_ : 0;
  }
  /// After Step::end: the same up to where the last block of this segment would have ended that has
  /// an intact header. What else is there may be of another segment.
  [[nodiscard]] std::uint64_t torn() const noexcept {
    return own_end_ > block_end_ ? own_end_ - block_end_ : 0;
  }
  [[nodiscard]] io::Errno error() const noexcept { return error_; }
  [[nodiscard]] std::uint16_t newer_version() const noexcept { return newer_version_; }
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 private:
  enum class Verdict : std::uint8_t { good, bad, newer };
  /// `size` bytes at position_, or fewer at the limit.
  [[nodiscard]] std::span<const std::byte> view(std::size_t size);
  /// Moves on to the next place where a block may begin; false when there is none.
  [[nodiscard]] bool seek();
  /// Of what stands at position_, and how far the next place is if that is no good block.
  [[nodiscard]] Verdict judge(std::uint64_t sequence_min, std::size_t& stride);
  void take(std::size_t stride) noexcept;
  void note_bad(std::span<const std::byte> bytes) noexcept;

  io::Io& io_;
  io::FileId file_;
  bool open_ = false;
  AlignedBuffer window_;
  std::uint64_t window_offset_ = 0;
  std::size_t window_size_ = 0;
  std::uint64_t tag_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t block_end_ = 0;
  std::uint64_t bad_begin_ = UINT64_MAX;  // Since block_end_: where that which is no block begins.
  std::uint64_t nonzero_end_ = 0;
  std::uint64_t own_end_ = 0;
  std::uint64_t skipped_ = 0;
  std::optional<flow::BlockView> block_;
  io::Errno error_ = 0;
  std::uint16_t newer_version_ = 0;
};

}  // namespace tocsin::journal
