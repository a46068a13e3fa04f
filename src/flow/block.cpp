#include "flow/block.hpp"

#include <array>
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

void fill_record_crcs(std::span<RecordHeader> records, const char* attrs,
                      const char* payloads) noexcept {
  const auto fixed_of = [](const RecordHeader& record) {
    return std::as_bytes(std::span{&record, 1}).subspan(crc_field_size);
  };
  const auto attrs_of = [&](const RecordHeader& record) {
    return std::as_bytes(std::span{attrs + record.attrs_offset, record.attrs_size});
  };
  const auto payload_of = [&](const RecordHeader& record) {
    return std::as_bytes(std::span{payloads + record.payload_offset, record.payload_size});
  };
  for (; records.size() >= 3; records = records.subspan(3)) {
    std::array<std::uint32_t, 3> crcs{};
    crc32c_three(crcs, {fixed_of(records[0]), fixed_of(records[1]), fixed_of(records[2])});
    crc32c_three(crcs, {attrs_of(records[0]), attrs_of(records[1]), attrs_of(records[2])});
    crc32c_three(crcs, {payload_of(records[0]), payload_of(records[1]), payload_of(records[2])});
    for (std::size_t i = 0; i < 3; ++i) records[i].crc = crcs[i];
  }
  for (RecordHeader& record : records) {
    record.crc = record_crc(record, {attrs + record.attrs_offset, record.attrs_size},
                            {payloads + record.payload_offset, record.payload_size});
  }
}

std::uint64_t records_check(std::span<const RecordHeader> records) noexcept {
  std::uint64_t check = records.size();
  for (const RecordHeader& record : records) check = (check ^ record.crc) * 0x9E37'79B9'7F4A'7C15U;
  return check;
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

bool BlockView::record_intact(std::uint32_t index) const noexcept {
  const RecordView r = record(index);
  return r.header().crc == record_crc(r.header(), r.attrs(), r.payload());
}

bool BlockView::records_belong() const noexcept {
  if ((header_->flags & block_has_records_check) == 0) return true;
  const auto* records =
      reinterpret_cast<const RecordHeader*>(bytes_.data() + header_->records_offset);
  return header_->records_check == records_check({records, header_->record_count});
}

}  // namespace tocsin::flow
