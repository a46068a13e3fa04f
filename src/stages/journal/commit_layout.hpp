#pragma once
// How the blocks of one commit stand in the file: small ones share pages.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "io/io.hpp"
#include "stages/journal/segment.hpp"

namespace tocsin::journal {

/// Small blocks that follow each other are copied into a buffer of its own, each at the next
/// multiple of 64 bytes, and zeros fill their last page. Every other block begins at a page and is
/// written from where it stands. Never longer than the padded blocks together.
class CommitLayout {
 public:
  /// Smaller ones are copied: that costs less than the rest of their page would.
  static constexpr std::size_t small_block_max = 16 * 1024;
  /// Memory of all commits that may be in flight together: a term of flow::MemoryPlan.
  static constexpr std::size_t staging_bytes = 256 * 1024;

  /// Allocates all that it will ever need for `blocks_max` blocks. Small ones that find no room in
  /// `staging_size` bytes, a multiple of the page, are written from where they stand.
  CommitLayout(std::size_t blocks_max, std::size_t staging_size) : staging_(staging_size) {
    pieces_.reserve(blocks_max);
  }

  void clear() noexcept;
  /// `padded` is one block of `size` bytes with zeros up to the end of its page: final, and
  /// borrowed until the commit has ended.
  void add(std::span<const std::byte> padded, std::size_t size) noexcept;
  /// Ends with a full page.
  void finish() noexcept { close_group(); }

  /// Valid until clear().
  [[nodiscard]] std::span<const io::Piece> pieces() const noexcept { return pieces_; }
  /// After finish(): a multiple of the page.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  void close_group() noexcept;

  AlignedBuffer staging_;
  std::size_t staged_ = 0;       // Of staging_: up to where it is taken.
  std::size_t group_begin_ = 0;  // Where the open group begins there; staged_ when none is.
  std::vector<io::Piece> pieces_;
  std::uint64_t bytes_ = 0;
};

}  // namespace tocsin::journal
