// Goal: the scanner that other tests count copies with finds every one.
#include "stages/decode/memory_scan.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace tocsin::decode::test {
namespace {

constexpr std::uint8_t disguise = 0xA5;
constexpr std::size_t element_size = 16;  // A quote, 13 digits, a quote and a comma.
constexpr std::size_t chunk_size = 256 * 1024;
// What sanitizers reserve for their own records is far larger, and holds nothing verbatim.
constexpr std::uint64_t mapping_size_max = std::uint64_t{1} << 32U;

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
  [[nodiscard]] bool holds(std::uintptr_t address) const noexcept {
    return begin <= address && address < end;
  }
};

Range range_of(const char* data, std::size_t size) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  return {begin, begin + size};
}

// What can be written, as /proc/self/maps lists it: "begin-end rw-p ...". Neighbours are one:
// static data goes on from the pages of the file into those that began as zeros.
std::vector<Range> writable_memory() {
  std::vector<Range> all;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::size_t dash = 0;
    std::size_t blank = 0;
    const std::uintptr_t begin = std::stoul(line, &dash, 16);
    const std::uintptr_t end = std::stoul(line.substr(dash + 1), &blank, 16);
    const bool writable = line.at(dash + 1 + blank + 2) == 'w';
    if (!writable || end - begin > mapping_size_max) continue;
    if (!all.empty() && all.back().end == begin) {
      all.back().end = end;
    } else {
      all.push_back({begin, end});
    }
  }
  return all;
}

// Once others may know of a place, the compiler keeps what is written there.
char* published(char* place) noexcept {
  static char* volatile known;
  known = place;
  return known;
}

// Memory as the kernel reads it: a mapping may have gone, and sanitizers watch plain reads. Through
// a file in memory, because an emulator's /proc/self/mem is its own.
class Window {
 public:
  Window() : file_(::memfd_create("window", MFD_CLOEXEC)) { EXPECT_TRUE(file_.valid()); }
  /// How many bytes from `at` on now stand in `into`.
  std::size_t read(std::uintptr_t at, std::span<char> into) {
    EXPECT_EQ(::lseek(file_.get(), 0, SEEK_SET), 0);
    // Not write(): that is what sanitizers watch.
    const long there = ::syscall(SYS_write, file_.get(), at, into.size());
    if (there <= 0) return 0;
    const ssize_t got = ::pread(file_.get(), into.data(), static_cast<std::size_t>(there), 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }

 private:
  UniqueFd file_;
};

}  // namespace

Marker::Marker() {
  std::random_device random;
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t at = i % element_size;
    char c = at == element_size - 1 ? ',' : '"';
    if (at > 0 && at < element_size - 2) c = "0123456789abcdef"[random() % 16];
    disguised_[i] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(c) ^ disguise);
  }
}

void Marker::write(char* to) const noexcept {
  for (std::size_t i = 0; i < size; ++i) to[i] = static_cast<char>(disguised_[i] ^ disguise);
}

bool Marker::is_at(const char* text) const noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    if (static_cast<std::uint8_t>(text[i]) != (disguised_[i] ^ disguise)) return false;
  }
  return true;
}

std::size_t copies_in_memory(const Marker& marker, std::string_view except) {
  // One for all calls: a freed one would be full of copies. Not beside other static data: what is
  // read there must not be what is being written.
  static std::vector<char> chunk(chunk_size);
  const Range own = range_of(chunk.data(), chunk.size());
  const Range excepted = range_of(except.data(), except.size());
  Window window;
  std::size_t copies = 0;
  for (const Range& range : writable_memory()) {
    // Chunks overlap, by less than a marker: each copy lies in one of them whole, and in one only.
    for (auto at = range.begin; at + Marker::size <= range.end;
         at += chunk_size - Marker::size + 1) {
      const auto wanted = std::min<std::uintptr_t>(chunk_size, range.end - at);
      const std::size_t got = window.read(at, std::span{chunk}.first(wanted));
      if (got < Marker::size) continue;
      const char* const last = chunk.data() + got - Marker::size;
      for (const char* p = chunk.data(); p <= last; ++p) {
        p = static_cast<const char*>(std::memchr(p, '"', static_cast<std::size_t>(last - p) + 1));
        if (p == nullptr) break;
        const std::uintptr_t address = at + static_cast<std::uintptr_t>(p - chunk.data());
        if (own.holds(address) || excepted.holds(address)) continue;
        if (marker.is_at(p)) ++copies;
      }
    }
  }
  return copies;
}

TEST(MemoryScan, FindsEveryCopy) {
  const Marker marker;
  EXPECT_EQ(copies_in_memory(marker, {}), 0U) << "the marker itself is no copy";
  std::vector<char> heap(Marker::size + 7);
  marker.write(published(heap.data()) + 7);
  EXPECT_TRUE(marker.is_at(heap.data() + 7));
  EXPECT_EQ(copies_in_memory(marker, {}), 1U);
  EXPECT_EQ(copies_in_memory(marker, {heap.data(), heap.size()}), 0U);
  static std::array<char, Marker::size> fixed;
  marker.write(published(fixed.data()));
  EXPECT_EQ(copies_in_memory(marker, {heap.data(), heap.size()}), 1U);
  // Larger than a chunk: this copy begins in one chunk and ends in the next.
  std::vector<char> large(2 * chunk_size);
  for (const std::size_t offset : {chunk_size - 100, chunk_size - Marker::size, chunk_size}) {
    std::memset(large.data(), 0, large.size());
    marker.write(published(large.data()) + offset);
    EXPECT_EQ(copies_in_memory(marker, {}), 3U) << offset;
  }
  heap[300] ^= 1;
  EXPECT_EQ(copies_in_memory(marker, {}), 2U) << "what differs in one bit is no copy";
}

}  // namespace tocsin::decode::test
