#pragma once
// The machine's clocks and its source of randomness.

#include <cstddef>
#include <span>

#include <tocsin/time.hpp>

namespace tocsin::io::posix {

/// CLOCK_BOOTTIME: time that the machine spends suspended counts, because windows, retries, leases
/// and the timeouts of our peers go on meanwhile. Served by the vDSO, without a system call.
[[nodiscard]] MonoTime mono_now() noexcept;
[[nodiscard]] WallTime wall_now() noexcept;
/// Whether the kernel's clock is synchronized, or at least later than this source. (A machine
/// without a battery-backed clock starts in the past.)
[[nodiscard]] bool wall_trusted() noexcept;
/// From /proc/sys/kernel/random/boot_id; random when that cannot be read, so that times of two
/// runs are then never compared.
[[nodiscard]] BootId read_boot_id() noexcept;
/// From the kernel's generator. Blocks until that is seeded (early boot only).
void fill_random(std::span<std::byte> into) noexcept;

}  // namespace tocsin::io::posix
