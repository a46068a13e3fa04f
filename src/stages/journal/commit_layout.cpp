#include "stages/journal/commit_layout.hpp"

#include <cassert>
#include <cstring>

namespace tocsin::journal {

void CommitLayout::clear() noexcept {
  staged_ = group_begin_ = 0;
  bytes_ = 0;
  pieces_.clear();
}

void CommitLayout::add(std::span<const std::byte> padded, std::size_t size) noexcept {
  assert(size > 0 && padded.size() == align_to_page(size));
  const std::size_t stride = align_to_block(size);
  if (size >= small_block_max || staged_ + stride > staging_.size()) {
    close_group();
    assert(pieces_.size() < pieces_.capacity());
    pieces_.push_back({padded.data(), padded.size()});
    bytes_ += padded.size();
    return;
  }
  // The padding brings the zeros up to the next block.
  std::memcpy(staging_.data() + staged_, padded.data(), stride);
  staged_ += stride;
}

void CommitLayout::close_group() noexcept {
  if (staged_ == group_begin_) return;
  const std::size_t end = align_to_page(staged_);
  std::memset(staging_.data() + staged_, 0, end - staged_);
  assert(pieces_.size() < pieces_.capacity());
  pieces_.push_back({staging_.data() + group_begin_, end - group_begin_});
  bytes_ += end - group_begin_;
  staged_ = group_begin_ = end;
}

}  // namespace tocsin::journal
