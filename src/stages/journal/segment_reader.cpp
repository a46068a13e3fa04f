#include "stages/journal/segment_reader.hpp"

#include <algorithm>
#include <cstring>

#include "base/crc32c.hpp"

namespace tocsin::journal {
namespace {

constexpr std::size_t window_size_min = 256 * 1024;
constexpr std::size_t header_size_max = page_size;
constexpr std::size_t crc_offset = offsetof(flow::BlockHeader, crc);

bool header_plausible(const flow::BlockHeader& h) noexcept {
  return h.magic == flow::block_magic && h.header_size >= sizeof(flow::BlockHeader) &&
         h.header_size <= header_size_max;
}

// Every version keeps magic, version, header_size and crc where they are, and computes the CRC over
// header_size bytes: so a newer block can be told from a damaged one.
bool header_intact(std::span<const std::byte> header) noexcept {
  constexpr std::array<std::byte, sizeof(flow::BlockHeader::crc)> no_crc{};
  std::uint32_t crc = crc32c(0, header.first(crc_offset));
  crc = crc32c(crc, no_crc);
  crc = crc32c(crc, header.subspan(crc_offset + no_crc.size()));
  return crc == reinterpret_cast<const flow::BlockHeader*>(header.data())->crc;
}

bool is_zero(std::span<const std::byte> bytes) noexcept {
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

bool begins_block(const std::byte* bytes) noexcept {
  std::uint32_t magic = 0;
  std::memcpy(&magic, bytes, sizeof(magic));
  return magic == flow::block_magic;
}

bool records_intact(const flow::BlockView& block) noexcept {
  if (!block.records_belong()) return false;
  for (std::uint32_t i = 0; i < block.size(); ++i) {
    if (!block.record_intact(i)) return false;
  }
  return true;
}

}  // namespace

Result<void, io::Errno> SegmentReader::open(const std::string& path, std::uint64_t tag,
                                            std::uint64_t limit) {
  close();
  auto file = io_.open(path, io::OpenMode::read);
  if (!file) return Unexpected{file.error()};
  file_ = *file;
  open_ = true;
  const auto size = io_.size(file_);
  if (!size) {
    close();
    return Unexpected{size.error()};
  }
  tag_ = tag;
  limit_ = std::min(limit, *size);
  position_ = block_end_ = nonzero_end_ = own_end_ = skipped_ = window_offset_ = window_size_ = 0;
  bad_begin_ = UINT64_MAX;
  error_ = 0;
  return {};
}

void SegmentReader::close() noexcept {
  if (open_) io_.close_file(file_);
  open_ = false;
  block_.reset();
}

std::span<const std::byte> SegmentReader::view(std::size_t size) {
  size = static_cast<std::size_t>(std::min<std::uint64_t>(size, limit_ - position_));
  const bool inside =
      position_ >= window_offset_ && position_ + size <= window_offset_ + window_size_;
  if (!inside) {
    if (const auto wanted = align_to_page(size); window_.size() < wanted || window_.size() == 0) {
      window_ = AlignedBuffer(std::max(wanted, window_size_min));
    }
    const auto ask = static_cast<std::size_t>(
        std::min<std::uint64_t>(window_.size(), align_to_page(limit_ - position_)));
    const auto got = io_.read(file_, window_.span().first(ask), position_);
    window_offset_ = position_;
    window_size_ = got ? *got : 0;
    if (!got) error_ = got.error();
    size = std::min(size, window_size_);
  }
  return {window_.data() + (position_ - window_offset_), size};
}

SegmentReader::Verdict SegmentReader::judge(std::uint64_t sequence_min, std::size_t& stride) {
  stride = block_alignment;
  auto bytes = view(sizeof(flow::BlockHeader));
  if (bytes.size() < sizeof(flow::BlockHeader)) return Verdict::bad;
  flow::BlockHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (!header_plausible(header)) return Verdict::bad;
  bytes = view(header.header_size);
  if (bytes.size() < header.header_size || !header_intact(bytes)) return Verdict::bad;
  if (header.segment_id != tag_) return Verdict::bad;
  if (header.version > flow::block_version) {
    newer_version_ = header.version;
    return Verdict::newer;
  }
  if (header.block_size < sizeof(header) || header.block_size > block_size_max) {
    return Verdict::bad;
  }
  // The size is under the header's CRC, so it can be believed when a record is damaged: what a
  // device put into a payload is then never taken for a block.
  stride = align_to_block(header.block_size);
  own_end_ = position_ + stride;
  const std::uint64_t last = header.base_sequence + header.record_count - 1;
  if (header.base_sequence < sequence_min || header.record_count == 0 ||
      last < header.base_sequence || last == UINT64_MAX) {
    return Verdict::bad;
  }
  block_ = flow::BlockView::parse(view(header.block_size));
  return block_ && records_intact(*block_) ? Verdict::good : Verdict::bad;
}

bool SegmentReader::seek() {
  while (position_ < limit_) {
    const auto page = view(page_size - static_cast<std::size_t>(position_ % page_size));
    if (error_ != 0) return false;
    if (page.empty()) break;  // The file has become shorter.
    if (is_zero(page)) {
      position_ += page.size();
      continue;
    }
    std::size_t at = 0;
    while (at + sizeof(flow::block_magic) <= page.size() && !begins_block(page.data() + at)) {
      at += block_alignment;
    }
    const bool found = at + sizeof(flow::block_magic) <= page.size();
    note_bad(found ? page.first(at) : page);
    position_ += found ? at : page.size();
    if (found) return true;
  }
  position_ = std::max(position_, limit_);
  return false;
}

void SegmentReader::note_bad(std::span<const std::byte> bytes) noexcept {
  for (std::size_t end = bytes.size(); end > 0; --end) {
    if (bytes[end - 1] == std::byte{0}) continue;
    nonzero_end_ = position_ + end;
    bad_begin_ = std::min(bad_begin_, position_);
    return;
  }
}

void SegmentReader::take(std::size_t stride) noexcept {
  const bool follows =
      position_ == block_end_ || (position_ == good_end() && bad_begin_ == UINT64_MAX);
  const std::uint64_t begin = bad_begin_ == UINT64_MAX ? block_end_ : bad_begin_;
  skipped_ = follows ? 0 : position_ - begin;
  position_ += stride;
  block_end_ = position_;
  bad_begin_ = UINT64_MAX;
}

SegmentReader::Step SegmentReader::next(std::uint64_t sequence_min) {
  block_.reset();
  while (seek()) {
    std::size_t stride = 0;
    const Verdict verdict = judge(sequence_min, stride);
    if (error_ != 0) return Step::failed;
    if (verdict == Verdict::newer) return Step::newer;
    if (verdict == Verdict::good) {
      take(stride);
      return Step::block;
    }
    block_.reset();
    note_bad(view(stride));
    if (error_ != 0) return Step::failed;
    position_ += stride;
  }
  return error_ != 0 ? Step::failed : Step::end;
}

}  // namespace tocsin::journal
