#pragma once
// Counts calls of operator new in the test program.

#include <cstdint>

namespace tocsin::decode::test {

/// Allocations of this thread so far. Stays zero under sanitizers, which bring their own operator
/// new.
[[nodiscard]] std::uint64_t allocation_count() noexcept;
[[nodiscard]] bool allocations_are_counted() noexcept;

}  // namespace tocsin::decode::test
