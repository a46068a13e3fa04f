#pragma once
// A pooled block being filled by one reactor, then shared read-only by journal and workers; and
// the pool, whose exhaustion is the system's back-pressure.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include <tocsin/event.hpp>
#include <tocsin/limits.hpp>
#include <tocsin/time.hpp>

#include "flow/block.hpp"
#include "protocol/json/shape_table.hpp"

namespace tocsin::flow {

class BatchPool;
class AckSink;

/// Says which request an acknowledgement belongs to. Meaning is private to the ingress protocol
/// that made it; `sink` receives it back.
struct AckToken {
  AckSink* sink = nullptr;  ///< Null: nobody waits for this record.
  std::uint32_t slot = 0;   ///< Connection.
  std::uint32_t generation = 0;
  std::uint64_t detail = 0;  ///< Packet id, request ordinal, entry index...
};

/// Ingress protocol, on the reactor that owns the batch.
class AckSink {
 public:
  /// The record reached its level (`stored` true), or its commit failed.
  virtual void on_ack(const AckToken& token, bool stored) noexcept = 0;

 protected:
  ~AckSink() = default;
};

/// What decode knows of the form of one record's document.
struct RecordShape {
  json::ShapeIndex shape = json::no_shape;
  std::uint16_t first = 0;  ///< Where its values' starts stand among the batch's.
};
/// The same of all records of a batch: those beyond `records` have no known shape. A view.
struct KnownShapes {
  const json::ShapeTable* table = nullptr;
  std::span<const RecordShape> records{};
  std::span<const json::ValueStart> starts{};
  std::uint32_t count = 0;  ///< Records that have one.
};

class Batch {
 public:
  Batch(BatchPool& pool, std::size_t size);
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch();

  // --- filling: one reactor ----------------------------------------------------------------------
  void open(Level level, WallTime wall, MonoTime mono, const BootId& boot_id, bool wall_trusted);
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  [[nodiscard]] Level level() const noexcept { return level_; }
  [[nodiscard]] bool fits(std::size_t payload_size, std::size_t attrs_size) const noexcept;

  /// Where the next payload goes: room for `fits(size)` bytes and json_padding beyond. Writing
  /// there changes nothing until append().
  [[nodiscard]] char* payload_tail() noexcept;
  /// Adds a record whose payload (header.payload_size bytes) already stands at payload_tail().
  /// Fills in offsets and received time. Attributes equal to the previous record's are shared.
  void append(const RecordHeader& header, std::string_view attrs, MonoTime received,
              const AckToken& ack) noexcept;

  /// Payloads of the records from `first` on, each followed by a newline. json_padding readable
  /// bytes follow.
  [[nodiscard]] std::string_view payloads_from(std::uint32_t first) const noexcept;
  /// The records from `first` on; their offsets count from the first record's payload and
  /// attributes.
  [[nodiscard]] std::span<const RecordHeader> records_from(std::uint32_t first) const noexcept;
  /// Notes where the values of a record's document stand, if there is still room for that and the
  /// batch's other shapes are of the same table: it saves match from looking for them.
  void note_shape(std::uint32_t index, const std::shared_ptr<const json::ShapeTable>& table,
                  json::ShapeIndex shape, const json::ValueStart* starts) noexcept;
  /// Takes one record out again; those behind it move up. Not once its checksum or shape is there.
  void remove(std::uint32_t index) noexcept;
  /// Fills in the checksums of the records that were appended since the last call: best while they
  /// are still in the processor's cache.
  void checksum() noexcept;

  /// Ends filling: moves attributes and record headers behind the payloads.
  void seal() noexcept;

  // --- sealed -----------------------------------------------------------------------------------
  /// Journal thread only, before the batch is shared with workers.
  void assign(std::uint64_t base_sequence, std::uint64_t segment_id) noexcept;
  [[nodiscard]] BlockView view() const noexcept { return BlockView::trusted(block()); }
  [[nodiscard]] std::span<const std::byte> block() const noexcept;
  /// RecordHeader::mqtt of all records together: what there is for MQTT subscribers.
  [[nodiscard]] std::uint8_t routes() const noexcept { return routes_; }
  [[nodiscard]] KnownShapes shapes() const noexcept {
    return {shape_table_.get(), record_shapes_, value_starts_, shaped_};
  }
  /// The block, zero-padded to a multiple of `alignment` (<= 4096), for writing.
  [[nodiscard]] std::span<const std::byte> padded_block(std::size_t alignment) noexcept;
  [[nodiscard]] std::span<const AckToken> acks() const noexcept { return acks_; }
  /// Fills a batch with a block read back from the journal (recovery, replay). False when too
  /// large.
  [[nodiscard]] bool load(std::span<const std::byte> block) noexcept;
  /// After load(): says when the block was opened in terms of this boot's monotonic clock.
  void rebase(MonoTime base) noexcept;

  // --- sharing ----------------------------------------------------------------------------------
  /// One holder more / one less; the last release returns the batch to its pool. Any thread.
  void retain(std::uint32_t n = 1) noexcept { holders_.fetch_add(n, std::memory_order_relaxed); }
  void release() noexcept;

  /// Where the batch stands in the settlement list; set by the journal, read by workers.
  void* settlement = nullptr;
  /// When it was sealed: for stage histograms.
  MonoTime sealed_at{};
  /// Which reactor filled it; index into the engine's reactors.
  std::uint32_t owner = 0;
  /// Outcome of the commit, written by the journal before it sends the batch back for its acks.
  bool stored = false;

 private:
  friend class BatchPool;
  void forget_shapes() noexcept;
  [[nodiscard]] BlockHeader& header() noexcept;
  [[nodiscard]] RecordHeader* records() const noexcept {
    return reinterpret_cast<RecordHeader*>(bytes_ + records_scratch_);
  }
  [[nodiscard]] char* payloads() const noexcept {
    return reinterpret_cast<char*>(bytes_) + sizeof(BlockHeader);
  }

  BatchPool& pool_;
  std::size_t size_;
  std::byte* bytes_;  // 4096-aligned; json_padding readable bytes follow size_.
  std::vector<AckToken> acks_;
  std::shared_ptr<const json::ShapeTable> shape_table_;
  std::vector<RecordShape> record_shapes_;
  std::vector<json::ValueStart> value_starts_;
  std::uint32_t shaped_ = 0;
  Level level_ = Level::stored;
  std::uint8_t routes_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t checksummed_ = 0;  // Records that have their checksum.
  std::uint32_t payload_used_ = 0;
  std::uint32_t attrs_used_ = 0;
  std::uint32_t attrs_scratch_ = 0;    // Offset where the attribute scratch area begins.
  std::uint32_t records_scratch_ = 0;  // Offset where the record-header scratch area begins.
  std::uint32_t last_attrs_offset_ = 0;
  std::uint32_t last_attrs_size_ = 0;
  std::atomic<std::uint32_t> holders_{0};
};

/// Kind of the message by which a batch comes back to the reactor that filled it (Message::object
/// is the Batch, `stored` is set), with one holder.
inline constexpr std::uint32_t message_batch_committed = 0xBA7C4;

/// Where reactors hand sealed batches to: the journal.
class BatchSink {
 public:
  /// `batch` is sealed and not empty; one holder goes with it. Any reactor thread.
  virtual void on_batch(Batch* batch) noexcept = 0;

 protected:
  ~BatchSink() = default;
};

/// Values of one batch whose places can be noted.
[[nodiscard]] constexpr std::size_t batch_values_max(std::size_t batch_size) noexcept {
  return std::min<std::size_t>(batch_size / 32, UINT16_MAX);
}
/// Memory of a batch.
[[nodiscard]] constexpr std::size_t batch_cost(std::size_t batch_size) noexcept {
  return batch_size + 4096 + batch_records_max * (sizeof(AckToken) + sizeof(RecordShape)) +
         batch_values_max(batch_size) * sizeof(json::ValueStart);
}

/// A fixed number of batches. Threads take and return; nothing is allocated after construction.
class BatchPool {
 public:
  /// `batch_size`: bytes of one block, a multiple of 4096.
  BatchPool(std::size_t count, std::size_t batch_size);
  /// A batch with one holder, or null: then stop arming receives and try again after a release.
  [[nodiscard]] Batch* acquire() noexcept;
  [[nodiscard]] std::size_t count() const noexcept { return batches_.size(); }
  [[nodiscard]] std::size_t available() const noexcept;
  [[nodiscard]] std::size_t batch_size() const noexcept { return batch_size_; }
  /// Largest payload that an empty batch can hold.
  [[nodiscard]] std::size_t payload_max() const noexcept;
  /// Called (any thread) when a batch returns to an exhausted pool, so that reactors can resume.
  class Waiter {
   public:
    virtual void on_batch_available() noexcept = 0;

   protected:
    ~Waiter() = default;
  };
  void set_waiters(std::vector<Waiter*> waiters) { waiters_ = std::move(waiters); }

 private:
  friend class Batch;
  void give_back(Batch* batch) noexcept;
  [[nodiscard]] Batch* take_free() noexcept;

  std::size_t batch_size_;
  std::vector<std::unique_ptr<Batch>> batches_;
  // The last one back goes first: its memory is still in the processor's cache, and what is not
  // needed is never touched. A lock, because it is taken once a batch and held for a few
  // instructions.
  mutable std::mutex mutex_;
  std::vector<Batch*> free_;
  std::atomic<bool> exhausted_{false};
  std::vector<Waiter*> waiters_;
};

}  // namespace tocsin::flow
