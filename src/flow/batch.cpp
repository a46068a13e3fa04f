#include "flow/batch.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tocsin::flow {
namespace {

constexpr std::size_t page_size = 4096;
constexpr std::uint32_t records_bytes = batch_records_max * sizeof(RecordHeader);

constexpr std::uint32_t align_up(std::uint32_t value, std::uint32_t to) noexcept {
  return (value + to - 1) / to * to;
}

// A quarter of what the record headers leave is for attributes: device events carry about 60 bytes
// of them beside 200 of payload, and equal neighbours share.
std::uint32_t attrs_capacity(std::size_t size) noexcept {
  const auto left = static_cast<std::uint32_t>(size) - records_bytes -
                    static_cast<std::uint32_t>(sizeof(BlockHeader));
  return std::max<std::uint32_t>(left / 4, record_attrs_max) / 8 * 8;
}

}  // namespace

Batch::Batch(BatchPool& pool, std::size_t size)
    : pool_(pool),
      size_(size),
      bytes_(
          static_cast<std::byte*>(::operator new(size + page_size, std::align_val_t{page_size}))) {
  assert(size % page_size == 0);
  assert(size > records_bytes + sizeof(BlockHeader) + 2 * record_attrs_max);
  acks_.reserve(batch_records_max);
  record_shapes_.reserve(batch_records_max);
  value_starts_.reserve(batch_values_max(size));
  records_scratch_ = static_cast<std::uint32_t>(size) - records_bytes;
  attrs_scratch_ = records_scratch_ - attrs_capacity(size);
}

Batch::~Batch() { ::operator delete(bytes_, std::align_val_t{page_size}); }

BlockHeader& Batch::header() noexcept { return *reinterpret_cast<BlockHeader*>(bytes_); }

void Batch::open(Level level, WallTime wall, MonoTime mono, const BootId& boot_id,
                 bool wall_trusted) {
  level_ = level;
  count_ = checksummed_ = payload_used_ = attrs_used_ = last_attrs_size_ = last_attrs_offset_ = 0;
  routes_ = 0;
  settlement = nullptr;
  stored = false;
  acks_.clear();
  forget_shapes();
  header() = BlockHeader{.magic = block_magic,
                         .version = block_version,
                         .header_size = sizeof(BlockHeader),
                         .crc = 0,
                         .record_count = 0,
                         .base_sequence = 0,
                         .segment_id = 0,
                         .block_size = 0,
                         .payload_offset = sizeof(BlockHeader),
                         .payload_size = 0,
                         .attrs_offset = 0,
                         .attrs_size = 0,
                         .records_offset = 0,
                         .base_wall_us = to_us(wall),
                         .base_mono_us = to_us(mono),
                         .boot_id = boot_id,
                         .flags = static_cast<std::uint16_t>(wall_trusted ? 0 : 1),
                         .level = static_cast<std::uint8_t>(level),
                         .reserved = {},
                         .records_check = 0,
                         .reserved_too = {}};
}

bool Batch::fits(std::size_t payload_size, std::size_t attrs_size) const noexcept {
  // The newline after the payload and the parser's padding must stay before the attributes: the
  // parser reads padding, and a writer may scribble on it.
  return count_ < batch_records_max &&
         sizeof(BlockHeader) + payload_used_ + payload_size + 1 + json_padding <= attrs_scratch_ &&
         attrs_scratch_ + attrs_used_ + attrs_size <= records_scratch_;
}

char* Batch::payload_tail() noexcept { return payloads() + payload_used_; }

void Batch::append(const RecordHeader& header, std::string_view attrs, MonoTime received,
                   const AckToken& ack) noexcept {
  assert(fits(header.payload_size, attrs.size()));
  char* const base = reinterpret_cast<char*>(bytes_);
  const std::string_view previous{base + attrs_scratch_ + last_attrs_offset_, last_attrs_size_};
  if (count_ == 0 || previous != attrs) {
    last_attrs_offset_ = attrs_used_;
    last_attrs_size_ = static_cast<std::uint32_t>(attrs.size());
    if (!attrs.empty()) {
      std::memcpy(base + attrs_scratch_ + attrs_used_, attrs.data(), attrs.size());
    }
    attrs_used_ += last_attrs_size_;
  }
  const std::int64_t delta_us = to_us(received) - this->header().base_mono_us;
  RecordHeader& record = records()[count_++];
  record = header;
  record.version = record_version;
  record.payload_offset = payload_used_;
  record.attrs_offset = last_attrs_offset_;
  record.attrs_size = static_cast<std::uint16_t>(attrs.size());
  record.received_delta_us =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(delta_us, 0, UINT32_MAX));
  routes_ = static_cast<std::uint8_t>(routes_ | record.mqtt);
  payload_tail()[record.payload_size] = '\n';
  payload_used_ += record.payload_size + 1;
  acks_.push_back(ack);
}

std::string_view Batch::payloads_from(std::uint32_t first) const noexcept {
  const std::uint32_t begin = first == count_ ? payload_used_ : records()[first].payload_offset;
  return {payloads() + begin, payload_used_ - begin};
}

std::span<const RecordHeader> Batch::records_from(std::uint32_t first) const noexcept {
  return {records() + first, count_ - first};
}

void Batch::note_shape(std::uint32_t index, const std::shared_ptr<const json::ShapeTable>& table,
                       json::ShapeIndex shape, const json::ValueStart* starts) noexcept {
  assert(index < count_ && index >= record_shapes_.size());
  const std::size_t values = (*table)[shape].members().size();
  if (shape_table_ != nullptr && shape_table_ != table) return;
  if (value_starts_.size() + values > batch_values_max(size_)) return;
  if (shape_table_ == nullptr) shape_table_ = table;
  record_shapes_.resize(index);
  record_shapes_.push_back({shape, static_cast<std::uint16_t>(value_starts_.size())});
  value_starts_.insert(value_starts_.end(), starts, starts + values);
  ++shaped_;
}

void Batch::forget_shapes() noexcept {
  shape_table_.reset();
  record_shapes_.clear();
  value_starts_.clear();
  shaped_ = 0;
}

void Batch::remove(std::uint32_t index) noexcept {
  assert(index >= checksummed_ && index >= record_shapes_.size() && index < count_);
  RecordHeader* const record = records() + index;
  const std::uint32_t size = record->payload_size + 1;
  const std::uint32_t end = record->payload_offset + size;
  std::memmove(payloads() + record->payload_offset, payloads() + end, payload_used_ - end);
  std::memmove(record, record + 1, (count_ - index - 1) * sizeof(RecordHeader));
  acks_.erase(acks_.begin() + index);
  payload_used_ -= size;
  --count_;
  for (; index < count_; ++index) records()[index].payload_offset -= size;
}

void Batch::checksum() noexcept {
  fill_record_crcs({records() + checksummed_, count_ - checksummed_},
                   reinterpret_cast<const char*>(bytes_) + attrs_scratch_, payloads());
  checksummed_ = count_;
}

void Batch::seal() noexcept {
  checksum();
  BlockHeader& h = header();
  h.record_count = count_;
  h.records_check = records_check({records(), count_});
  h.flags |= block_has_records_check;
  h.payload_size = payload_used_;
  h.attrs_offset = h.payload_offset + payload_used_;
  h.attrs_size = attrs_used_;
  h.records_offset = align_up(h.attrs_offset + attrs_used_, alignof(RecordHeader));
  h.block_size = h.records_offset + count_ * static_cast<std::uint32_t>(sizeof(RecordHeader));
  // Both regions only ever move towards the front, attributes first, so neither is overwritten
  // before it has moved.
  std::memmove(bytes_ + h.attrs_offset, bytes_ + attrs_scratch_, attrs_used_);
  std::memset(bytes_ + h.attrs_offset + attrs_used_, 0,
              h.records_offset - h.attrs_offset - attrs_used_);
  std::memmove(bytes_ + h.records_offset, bytes_ + records_scratch_, count_ * sizeof(RecordHeader));
}

void Batch::assign(std::uint64_t base_sequence, std::uint64_t segment_id) noexcept {
  BlockHeader& h = header();
  h.base_sequence = base_sequence;
  h.segment_id = segment_id;
  h.crc = block_header_crc(h);
}

std::span<const std::byte> Batch::block() const noexcept {
  return {bytes_, reinterpret_cast<const BlockHeader*>(bytes_)->block_size};
}

std::span<const std::byte> Batch::padded_block(std::size_t alignment) noexcept {
  const std::uint32_t used = header().block_size;
  const std::uint32_t padded = align_up(used, static_cast<std::uint32_t>(alignment));
  assert(padded <= size_ + page_size);
  std::memset(bytes_ + used, 0, padded - used);
  return {bytes_, padded};
}

bool Batch::load(std::span<const std::byte> block) noexcept {
  if (block.size() > size_) return false;
  std::memcpy(bytes_, block.data(), block.size());
  count_ = header().record_count;
  level_ = static_cast<Level>(header().level);
  settlement = nullptr;
  stored = true;
  acks_.clear();
  forget_shapes();
  routes_ = 0;
  const BlockView loaded = view();
  for (std::uint32_t i = 0; i < count_; ++i) {
    routes_ = static_cast<std::uint8_t>(routes_ | loaded.record(i).header().mqtt);
  }
  return true;
}

void Batch::rebase(MonoTime base) noexcept { header().base_mono_us = to_us(base); }

void Batch::release() noexcept {
  // acq_rel: the last holder must see what the others wrote before the buffer is filled again.
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // A batch that nobody uses must not keep a table alive.
  forget_shapes();
  pool_.give_back(this);
}

BatchPool::BatchPool(std::size_t count, std::size_t batch_size) : batch_size_(batch_size) {
  batches_.reserve(count);
  free_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    batches_.push_back(std::make_unique<Batch>(*this, batch_size));
    free_.push_back(batches_.back().get());
  }
}

std::size_t BatchPool::available() const noexcept {
  const std::lock_guard lock(mutex_);
  return free_.size();
}

Batch* BatchPool::take_free() noexcept {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return nullptr;
  Batch* const batch = free_.back();
  free_.pop_back();
  return batch;
}

std::size_t BatchPool::payload_max() const noexcept {
  return batch_size_ - records_bytes - attrs_capacity(batch_size_) - sizeof(BlockHeader) - 1 -
         json_padding;
}

Batch* BatchPool::acquire() noexcept {
  Batch* batch = take_free();
  if (batch == nullptr) {
    exhausted_.store(true, std::memory_order_seq_cst);
    // A batch may have come back between the failed take and the store; without this second look
    // nobody would wake us.
    batch = take_free();
    if (batch == nullptr) return nullptr;
  }
  batch->holders_.store(1, std::memory_order_relaxed);
  return batch;
}

void BatchPool::give_back(Batch* batch) noexcept {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(batch);
  }
  if (exhausted_.exchange(false, std::memory_order_seq_cst)) {
    for (Waiter* waiter : waiters_) waiter->on_batch_available();
  }
}

}  // namespace tocsin::flow
