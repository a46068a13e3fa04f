#include "base/crc32c.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

namespace tocsin {
namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1U) ^ ((value & 1U) != 0 ? polynomial : 0);
    table[i] = value;
  }
  return table;
}
constexpr auto table = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(
    std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  std::uint64_t state = ~crc;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto tail = static_cast<std::uint32_t>(state);
  if ((left & 4U) != 0) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, 4);
    tail = _mm_crc32_u32(tail, word);
    at += 4;
  }
  if ((left & 2U) != 0) {
    std::uint16_t word = 0;
    std::memcpy(&word, at, 2);
    tail = _mm_crc32_u16(tail, word);
    at += 2;
  }
  if ((left & 1U) != 0) tail = _mm_crc32_u8(tail, static_cast<std::uint8_t>(*at));
  return ~tail;
}
__attribute__((target("sse4.2"))) std::size_t crc32c_words(
    std::array<std::uint32_t, 3>& crcs, const std::array<const std::byte*, 3>& at,
    std::size_t size) noexcept {
  std::uint64_t a = ~crcs[0];
  std::uint64_t b = ~crcs[1];
  std::uint64_t c = ~crcs[2];
  std::size_t done = 0;
  for (; done + 8 <= size; done += 8) {
    std::array<std::uint64_t, 3> words;
    std::memcpy(&words[0], at[0] + done, 8);
    std::memcpy(&words[1], at[1] + done, 8);
    std::memcpy(&words[2], at[2] + done, 8);
    a = _mm_crc32_u64(a, words[0]);
    b = _mm_crc32_u64(b, words[1]);
    c = _mm_crc32_u64(c, words[2]);
  }
  crcs = {~static_cast<std::uint32_t>(a), ~static_cast<std::uint32_t>(b),
          ~static_cast<std::uint32_t>(c)};
  return done;
}
bool has_hardware() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }
#elif defined(__aarch64__)
__attribute__((target("+crc"))) std::uint32_t crc32c_hardware(
    std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  std::uint32_t state = ~crc;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    state = __crc32cd(state, word);
  }
  for (; left > 0; --left, ++at) state = __crc32cb(state, static_cast<std::uint8_t>(*at));
  return ~state;
}
__attribute__((target("+crc"))) std::size_t crc32c_words(std::array<std::uint32_t, 3>& crcs,
                                                         const std::array<const std::byte*, 3>& at,
                                                         std::size_t size) noexcept {
  std::array<std::uint32_t, 3> states{~crcs[0], ~crcs[1], ~crcs[2]};
  std::size_t done = 0;
  for (; done + 8 <= size; done += 8) {
    for (std::size_t lane = 0; lane < 3; ++lane) {
      std::uint64_t word = 0;
      std::memcpy(&word, at[lane] + done, 8);
      states[lane] = __crc32cd(states[lane], word);
    }
  }
  crcs = {~states[0], ~states[1], ~states[2]};
  return done;
}
bool has_hardware() noexcept { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#else
std::uint32_t crc32c_hardware(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  return crc32c_portable(crc, bytes);
}
std::size_t crc32c_words(std::array<std::uint32_t, 3>& /*crcs*/,
                         const std::array<const std::byte*, 3>& /*at*/,
                         std::size_t /*size*/) noexcept {
  return 0;
}
bool has_hardware() noexcept { return false; }
#endif

bool hardware() noexcept {
  static const bool found = has_hardware();
  return found;
}

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  std::uint32_t state = ~crc;
  for (const std::byte b : bytes) {
    state = table[(state ^ static_cast<std::uint8_t>(b)) & 0xFFU] ^ (state >> 8U);
  }
  return ~state;
}

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  return hardware() ? crc32c_hardware(crc, bytes) : crc32c_portable(crc, bytes);
}

void crc32c_three(std::array<std::uint32_t, 3>& crcs,
                  const std::array<std::span<const std::byte>, 3>& bytes) noexcept {
  std::size_t done = 0;
  if (hardware()) {
    const std::size_t common = std::min({bytes[0].size(), bytes[1].size(), bytes[2].size()});
    done = crc32c_words(crcs, {bytes[0].data(), bytes[1].data(), bytes[2].data()}, common);
  }
  for (std::size_t lane = 0; lane < 3; ++lane) {
    if (bytes[lane].size() == done) continue;
    crcs[lane] = crc32c(crcs[lane], bytes[lane].subspan(done));
  }
}

}  // namespace tocsin
