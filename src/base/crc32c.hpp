#pragma once
// CRC32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tocsin {

/// Continues `crc` (0 to begin) over `bytes`. crc32c(crc32c(0, a), b) == crc32c(0, a + b).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// Continues three checksums at once, which takes little longer than one: the instruction's latency
/// is what bounds a single one.
void crc32c_three(std::array<std::uint32_t, 3>& crcs,
                  const std::array<std::span<const std::byte>, 3>& bytes) noexcept;

/// The same by table: what machines without the instruction run; public for tests.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t crc,
                                            std::span<const std::byte> bytes) noexcept;

}  // namespace tocsin
