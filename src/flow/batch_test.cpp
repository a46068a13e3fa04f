// Goal: what is appended to a batch is what a reader of the sealed block sees, and no damaged block
// is accepted.
#include "flow/batch.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace tocsin::flow {
namespace {

constexpr std::size_t batch_size = 256 * 1024;

std::string attrs_of(std::string_view type) {
  std::string attrs;
  attrs += static_cast<char>(AttributeTag::type);
  attrs += static_cast<char>(type.size());
  attrs += '\0';
  attrs += type;
  return attrs;
}

void add(Batch& batch, std::string_view payload, std::string_view attrs, MonoTime received) {
  ASSERT_TRUE(batch.fits(payload.size(), attrs.size()));
  std::memcpy(batch.payload_tail(), payload.data(), payload.size());
  RecordHeader header{};
  header.payload_size = static_cast<std::uint32_t>(payload.size());
  batch.append(header, attrs, received, {});
}

void open(Batch& batch) {
  batch.open(Level::stored, from_us<WallTime>(1'000'000), from_us<MonoTime>(500), {}, true);
}

TEST(Batch, RecordsComeBackFromTheSealedBlock) {
  BatchPool pool(1, batch_size);
  Batch* batch = pool.acquire();
  ASSERT_NE(batch, nullptr);
  open(*batch);
  add(*batch, R"({"a":1})", attrs_of("one"), from_us<MonoTime>(600));
  add(*batch, R"({"a":2})", attrs_of("two"), from_us<MonoTime>(700));
  batch->seal();
  batch->assign(41, 7);
  const auto block = BlockView::parse(batch->block());
  ASSERT_TRUE(block.has_value());
  ASSERT_EQ(block->size(), 2U);
  EXPECT_EQ(block->record(1).payload(), R"({"a":2})");
  EXPECT_EQ(block->record(1).attribute(AttributeTag::type), "two");
  EXPECT_EQ(block->record(1).sequence(), 42U);
  EXPECT_EQ(to_us(block->record(0).received()), 600);
  EXPECT_TRUE(block->record_intact(0));
  EXPECT_TRUE(block->record_intact(1));
  batch->release();
  EXPECT_EQ(pool.available(), 1U);
}

TEST(Batch, EqualNeighboursShareTheirAttributes) {
  BatchPool pool(1, batch_size);
  Batch* batch = pool.acquire();
  open(*batch);
  for (int i = 0; i < 100; ++i) add(*batch, "{}", attrs_of("same"), from_us<MonoTime>(500));
  batch->seal();
  batch->assign(1, 1);
  EXPECT_EQ(batch->view().header().attrs_size, attrs_of("same").size());
  batch->release();
}

// Method: flip every bit of a small block; the header's CRC or a record's CRC must notice, except
// in bytes that nothing refers to.
TEST(Batch, EveryFlippedBitOfHeaderRecordsAndContentIsDetected) {
  BatchPool pool(1, batch_size);
  Batch* batch = pool.acquire();
  open(*batch);
  add(*batch, R"({"value":12})", attrs_of("t"), from_us<MonoTime>(501));
  batch->seal();
  batch->assign(9, 3);
  const auto original = batch->block();
  const auto& header = batch->view().header();
  alignas(8) std::array<std::byte, 4096> copy{};
  for (std::size_t bit = 0; bit < original.size() * 8; ++bit) {
    const std::size_t at = bit / 8;
    const bool newline = at == header.payload_offset + header.payload_size - 1;
    const bool padding =
        at >= header.attrs_offset + header.attrs_size && at < header.records_offset;
    if (newline || padding) continue;
    std::memcpy(copy.data(), original.data(), original.size());
    copy[at] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto block = BlockView::parse(std::span{copy}.first(original.size()));
    EXPECT_TRUE(!block || !block->record_intact(0)) << "bit=" << bit;
  }
  batch->release();
}

TEST(Batch, FillsUpWithoutOverlapAndThenSaysNo) {
  BatchPool pool(1, batch_size);
  Batch* batch = pool.acquire();
  open(*batch);
  const std::string payload = '"' + std::string(198, 'x') + '"';
  std::uint32_t added = 0;
  while (batch->fits(payload.size(), 40)) {
    add(*batch, payload, attrs_of(std::to_string(added)), from_us<MonoTime>(500));
    ++added;
  }
  EXPECT_GT(added, 500U);
  batch->seal();
  batch->assign(1, 1);
  const auto block = BlockView::parse(batch->block());
  ASSERT_TRUE(block.has_value());
  for (std::uint32_t i = 0; i < added; ++i) {
    ASSERT_TRUE(block->record_intact(i)) << i;
    ASSERT_EQ(block->record(i).attribute(AttributeTag::type), std::to_string(i));
  }
  batch->release();
}

// Method: every subset of seven records is taken out again, from the last to the first, before or
// after others got their checksums.
TEST(Batch, RecordsTakenOutLeaveNoTrace) {
  BatchPool pool(1, batch_size);
  const auto payload_of = [](std::uint32_t i) {
    return std::string(i * 5, ' ') + std::to_string(i);
  };
  for (unsigned subset = 0; subset < 128; ++subset) {
    SCOPED_TRACE(subset);
    Batch* const batch = pool.acquire();
    open(*batch);
    add(*batch, "first", attrs_of("same"), from_us<MonoTime>(501));
    batch->checksum();
    for (std::uint32_t i = 0; i < 7; ++i) {
      const std::string payload = payload_of(i);
      std::memcpy(batch->payload_tail(), payload.data(), payload.size());
      RecordHeader header{};
      header.payload_size = static_cast<std::uint32_t>(payload.size());
      header.id.lo = i;
      batch->append(header, attrs_of(i % 3 == 0 ? "same" : std::to_string(i)),
                    from_us<MonoTime>(600 + i), {.detail = i});
    }
    for (std::uint32_t i = 7; i-- > 0;) {
      if ((subset >> i & 1U) != 0) batch->remove(i + 1);
    }
    std::vector<std::uint32_t> kept;
    std::string joined;
    for (std::uint32_t i = 0; i < 7; ++i) {
      if ((subset >> i & 1U) != 0) continue;
      kept.push_back(i);
      joined += payload_of(i) + '\n';
    }
    ASSERT_EQ(batch->size(), kept.size() + 1);
    EXPECT_EQ(batch->payloads_from(1), joined);
    EXPECT_EQ(batch->payloads_from(0), "first\n" + joined);
    EXPECT_EQ(batch->payloads_from(batch->size()), "");
    ASSERT_EQ(batch->records_from(1).size(), kept.size());
    ASSERT_TRUE(batch->records_from(batch->size()).empty());
    if (subset % 2 == 0) batch->checksum();
    add(*batch, "last", attrs_of("end"), from_us<MonoTime>(700));
    batch->seal();
    batch->assign(1, 1);
    const auto block = BlockView::parse(batch->block());
    ASSERT_TRUE(block.has_value());
    ASSERT_EQ(block->size(), kept.size() + 2);
    for (std::uint32_t at = 0; at < block->size(); ++at)
      EXPECT_TRUE(block->record_intact(at)) << at;
    for (std::size_t at = 0; at < kept.size(); ++at) {
      const std::uint32_t i = kept[at];
      const RecordView record = block->record(static_cast<std::uint32_t>(at + 1));
      EXPECT_EQ(record.payload(), payload_of(i));
      EXPECT_EQ(record.attribute(AttributeTag::type), i % 3 == 0 ? "same" : std::to_string(i));
      EXPECT_EQ(record.header().id.lo, i);
      EXPECT_EQ(to_us(record.received()), 600 + i);
      EXPECT_EQ(batch->acks()[at + 1].detail, i);
    }
    EXPECT_EQ(block->record(block->size() - 1).payload(), "last");
    batch->release();
  }
}

TEST(Batch, IsEmptyAgainWhenAllIsTakenOut) {
  BatchPool pool(1, batch_size);
  Batch* const batch = pool.acquire();
  open(*batch);
  const std::size_t payload_max = pool.payload_max();
  add(*batch, std::string(payload_max, ' '), attrs_of("a"), from_us<MonoTime>(501));
  EXPECT_FALSE(batch->fits(1, 0));
  batch->remove(0);
  EXPECT_TRUE(batch->empty());
  EXPECT_TRUE(batch->acks().empty());
  EXPECT_EQ(batch->payloads_from(0), "");
  EXPECT_TRUE(batch->fits(payload_max, 40));
  batch->checksum();
  batch->release();
}

// Method: one to seven records, so that each remainder of three comes up, with sizes around the
// eight bytes of a word; checksums filled in together, one by one, and in two parts.
TEST(Block, ChecksumsOfManyAreThoseOfEach) {
  const std::string attrs = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string payloads;
  for (int i = 0; i < 300; ++i) payloads += static_cast<char>(i * 7);
  for (std::uint32_t count = 0; count <= 7; ++count) {
    for (std::uint32_t step = 0; step < 40; ++step) {
      std::vector<RecordHeader> records(count);
      for (std::uint32_t i = 0; i < count; ++i) {
        records[i].payload_offset = i * 11;
        records[i].payload_size = (step * (i + 1)) % 67;
        records[i].attrs_offset = i;
        records[i].attrs_size = static_cast<std::uint16_t>((step + i * 5) % 29);
        records[i].id.lo = step * 100 + i;
        records[i].crc = 0xDEAD;
      }
      std::vector<RecordHeader> parts = records;
      fill_record_crcs(records, attrs.data(), payloads.data());
      const std::size_t first = step % (count + 1);
      fill_record_crcs(std::span{parts}.first(first), attrs.data(), payloads.data());
      fill_record_crcs(std::span{parts}.subspan(first), attrs.data(), payloads.data());
      for (std::uint32_t i = 0; i < count; ++i) {
        const RecordHeader& r = records[i];
        const std::uint32_t wanted =
            record_crc(r, std::string_view{attrs}.substr(r.attrs_offset, r.attrs_size),
                       std::string_view{payloads}.substr(r.payload_offset, r.payload_size));
        ASSERT_EQ(r.crc, wanted) << count << ' ' << step << ' ' << i;
        ASSERT_EQ(parts[i].crc, wanted) << count << ' ' << step << ' ' << i;
      }
    }
  }
}

TEST(BatchPool, ExhaustedPoolTellsItsWaitersOnce) {
  struct Waiter final : BatchPool::Waiter {
    int calls = 0;
    void on_batch_available() noexcept override { ++calls; }
  } waiter;
  BatchPool pool(1, batch_size);
  pool.set_waiters({&waiter});
  Batch* batch = pool.acquire();
  batch->retain();
  EXPECT_EQ(pool.acquire(), nullptr);
  batch->release();
  EXPECT_EQ(waiter.calls, 0) << "still held once";
  batch->release();
  EXPECT_EQ(waiter.calls, 1);
}

}  // namespace
}  // namespace tocsin::flow
