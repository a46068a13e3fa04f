// Replaces operator new of the test program by one that counts.
#include "stages/decode/allocation_count.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define TOCSIN_COUNT_ALLOCATIONS 0
#else
#define TOCSIN_COUNT_ALLOCATIONS 1
#endif

namespace {
thread_local std::uint64_t count = 0;
}

namespace tocsin::decode::test {

std::uint64_t allocation_count() noexcept { return count; }
bool allocations_are_counted() noexcept { return TOCSIN_COUNT_ALLOCATIONS != 0; }

TEST(AllocationCount, SeesAnAllocation) {
  if (!allocations_are_counted()) GTEST_SKIP() << "a sanitizer owns operator new";
  const std::uint64_t before = allocation_count();
  const std::unique_ptr<int> plain(new int(1));
  const std::unique_ptr<int[]> array(new (std::nothrow) int[100]);
  EXPECT_EQ(allocation_count(), before + 2) << *plain << array.get();
}

}  // namespace tocsin::decode::test

#if TOCSIN_COUNT_ALLOCATIONS
namespace {
void* allocate(std::size_t size) noexcept {
  ++count;
  return std::malloc(size == 0 ? 1 : size);
}
void* allocate_or_throw(std::size_t size) {
  void* const memory = allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
#endif
