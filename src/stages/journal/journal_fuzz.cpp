// Whatever a segment file holds, a start must neither crash nor read out of bounds, and what it
// leaves must read the same the next time.

#include <cstdlib>

#include "stages/journal/recovery.hpp"
#include "stages/journal/segment_reader.hpp"
#include "tests/sim/test_disk.hpp"

namespace {

using tocsin::journal::SegmentKey;
using tocsin::test::Disk;
using tocsin::test::Inode;
using tocsin::test::TestIo;

constexpr const char* directory = "data/journal";

void require(bool condition) {
  if (!condition) std::abort();
}

std::string path_of(const SegmentKey& key) {
  return std::string(directory) + "/" + tocsin::journal::segment_name(key);
}

void add_file(Disk& disk, const SegmentKey& key, std::span<const std::byte> bytes) {
  auto inode = std::make_shared<Inode>();
  inode->cached.assign(bytes.begin(), bytes.end());
  disk.cached[path_of(key)] = inode;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 64 * 1024) return 0;
  const std::span<const std::byte> bytes{reinterpret_cast<const std::byte*>(data), size};
  Disk disk;
  // The same bytes as the last file and, under another id, as the one before; or as a file that
  // served before, and so may hold anything between its blocks.
  const SegmentKey key{size % 4 == 3 ? 2U : 1U, 1};
  add_file(disk, key, bytes);
  if (size % 2 == 1) add_file(disk, {1'000'000, size % 4 == 3 ? 1U : 1'000'000U}, bytes);
  TestIo io(disk);
  const auto log = tocsin::make_null_log();
  const auto first = tocsin::journal::recover_segments(io, directory, log);
  if (!first) return 0;
  const auto second = tocsin::journal::recover_segments(io, directory, log);
  require(second.has_value());
  require(second->next_sequence == first->next_sequence);
  require(second->events == first->events && second->torn_bytes == 0);
  require(second->segments.size() == first->segments.size());
  for (std::size_t i = 0; i < first->segments.size(); ++i) {
    require(second->segments[i].last_sequence == first->segments[i].last_sequence);
    require(second->segments[i].bytes == first->segments[i].bytes);
  }
  // Touch everything that a reader may touch.
  tocsin::journal::SegmentReader reader(io);
  require(reader.open(path_of(key), key.tag, UINT64_MAX).has_value());
  std::size_t total = 0;
  while (reader.next(1) == tocsin::journal::SegmentReader::Step::block) {
    for (std::uint32_t i = 0; i < reader.block().size(); ++i) {
      const auto record = reader.block().record(i);
      record.for_each_attribute([&](tocsin::AttributeTag, std::string_view, std::string_view v) {
        total += v.size();
        return true;
      });
      total += record.payload().size();
    }
  }
  require(total < SIZE_MAX);
  return 0;
}
