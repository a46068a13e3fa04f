#include "flow/block.hpp"

#include <bit>
#include <cstring>

#include "base/crc32c.hpp"

namespace tocsin::flow {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are used as they are stored");

constexpr std::size_t crc_field_size = sizeof(RecordHeader::crc);

bool inside(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) noexcept {
  return offset <= limit && size <= limit - offset;
}

bool regions_fit(const BlockHeader& h, std::size_t bytes) noexcept {
  return h.block_size <= bytes && h.block_size >= sizeof(BlockHeader) &&
         inside(h.payload_offset, h.payload_size, h.block_size) &&
         inside(h.attrs_offset, h.attrs_size, h.block_size) && h.records_offset % 8 == 0 &&
         inside(h.records_offset, std::uint64_t{h.record_count} * sizeof(RecordHeader),
                h.block_size);
}

}  // namespace

std::uint32_t record_crc(const RecordHeader& header, std::string_view attrs,
                         std::string_view payload) noexcept {
  const auto fixed = std::as_bytes(std::span{&header, 1}).subspan(crc_field_size);
  return crc32c(crc32c(crc32c(0, fixed), std::as_bytes(std::span{attrs})),
                std::as_bytes(std::span{payload}));
}

std::uint32_t block_header_crc(const BlockHeader& header) noexcept {
  BlockHeader copy = header;
  copy.crc = 0;
  return crc32c(0, std::as_bytes(std::span{&copy, 1}));
}

std::optional<BlockView> BlockView::parse(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < sizeof(BlockHeader)) return std::nullopt;
  const BlockView block(bytes);
  const BlockHeader& h = block.header();
  if (h.magic != block_magic || h.version != block_version ||
      h.header_size != sizeof(BlockHeader) || h.crc != block_header_crc(h) ||
      !regions_fit(h, bytes.size())) {
    return std::nullopt;
  }
  const auto* records = reinterpret_cast<const RecordHeader*>(bytes.data() + h.records_offset);
  for (std::uint32_t i = 0; i < h.record_count; ++i) {
    if (!inside(records[i].payload_offset, records[i].payload_size, h.payload_size) ||
        !inside(records[i].attrs_offset, records[i].attrs_size, h.attrs_size)) {
      return std::nullopt;
    }
  }
  return block;
}

RecordView BlockView::record(std::uint32_t index) const noexcept {
  const auto* base = reinterpret_cast<const char*>(bytes_.data());
  const auto* records = reinterpret_cast<const RecordHeader*>(base + header_->records_offset);
  const RecordHeader& r = records[index];
  const auto received = from_us<MonoTime>(header_->base_mono_us + r.received_delta_us);
  const std::uint64_t sequence = header_->base_sequence == 0 ? 0 : header_->base_sequence + index;
  return {r,
          {base + header_->attrs_offset + r.attrs_offset, r.attrs_size},
          {base + header_->payload_offset + r.payload_offset, r.payload_size},
          sequence,
          received};
}

bool BlockView::record_intact(std::uint32_t index) const noexcept {
  const RecordView r = record(index);
  return r.header().crc == record_crc(r.header(), r.attrs(), r.payload());
}

}  // namespace tocsin::flow
