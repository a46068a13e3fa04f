#include "io/posix/clocks.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/ascii.hpp"
#include "base/unique_fd.hpp"

namespace tocsin::io::posix {
namespace {

/// 2025-06-01T00:00:00Z: older than every binary built from this source, and written down instead
/// of taken from the compiler so that builds are reproducible.
constexpr WallTime source_date{std::chrono::seconds{1'748'736'000}};

template <class TimePoint>
TimePoint read_clock(clockid_t clock) noexcept {
  timespec time{};
  [[maybe_unused]] const int result = ::clock_gettime(clock, &time);
  assert(result == 0);
  return TimePoint{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

/// Sixteen bytes from "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx".
std::optional<BootId> parse_boot_id(std::string_view text) noexcept {
  BootId id{};
  std::size_t digits = 0;
  for (const char c : text) {
    const int digit = hex_value(c);
    if (digit < 0) continue;
    if (digits == 2 * id.size()) return std::nullopt;
    auto& byte = id[digits / 2];
    byte = static_cast<std::uint8_t>((byte << 4U) | digit);
    ++digits;
  }
  if (digits != 2 * id.size()) return std::nullopt;
  return id;
}

}  // namespace

MonoTime mono_now() noexcept { return read_clock<MonoTime>(CLOCK_BOOTTIME); }
WallTime wall_now() noexcept { return read_clock<WallTime>(CLOCK_REALTIME); }

bool wall_trusted() noexcept {
  // The clock first: it costs no system call and decides almost always.
  if (wall_now() > source_date) return true;
  timex status{};
  const int state = ::adjtimex(&status);
  return state >= 0 && state != TIME_ERROR && (status.status & STA_UNSYNC) == 0;
}

BootId read_boot_id() noexcept {
  const UniqueFd fd{::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)};
  std::array<char, 64> text{};
  const ssize_t n = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : 0;
  if (n > 0) {
    const auto id = parse_boot_id({text.data(), static_cast<std::size_t>(n)});
    if (id) return *id;
  }
  BootId id{};
  fill_random(std::as_writable_bytes(std::span{id}));
  return id;
}

void fill_random(std::span<std::byte> into) noexcept {
  while (!into.empty()) {
    const ssize_t n = ::getrandom(into.data(), into.size(), 0);
    if (n > 0) {
      into = into.subspan(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      // Going on with predictable keys would be worse than stopping.
      std::abort();
    }
  }
}

}  // namespace tocsin::io::posix
