#pragma once
// What an operator may set about the journal.

#include <array>
#include <cstdint>

#include <tocsin/option.hpp>

namespace tocsin::journal {

inline constexpr std::array options_table{
    OptionSpec{.key = "segment_size",
               .type = OptionType::bytes,
               .fallback = "64MiB",
               .min = 1 << 20,
               .max = std::int64_t{4} << 30,
               .help = "Size of one journal file; it is allocated whole, ahead of its use."},
    OptionSpec{.key = "retention_bytes",
               .type = OptionType::bytes,
               .fallback = "1GiB",
               .min = 1 << 20,
               .help = "Oldest files whose events are all processed are deleted above this size."},
    OptionSpec{.key = "commit_inflight_max",
               .type = OptionType::integer,
               .fallback = "2",
               .min = 1,
               .max = 8,
               .help = "Group commits that may be on their way to the disk at once."},
    OptionSpec{.key = "commit_bytes_max",
               .type = OptionType::bytes,
               .fallback = "8MiB",
               .min = 4096,
               .max = 1 << 30,
               .help = "Bytes that one group commit gathers at most."},
    OptionSpec{.key = "retry_delay_ms",
               .type = OptionType::duration_ms,
               .fallback = "100",
               .min = 1,
               .max = 60'000,
               .help = "Pause before a new file is tried after opening one failed; doubles."},
    OptionSpec{.key = "retry_delay_ms_max",
               .type = OptionType::duration_ms,
               .fallback = "5000",
               .min = 1,
               .max = 600'000,
               .help = "Longest such pause."},
};

struct Options {
  std::uint64_t segment_size = std::uint64_t{64} << 20;
  std::uint64_t retention_bytes = std::uint64_t{1} << 30;
  std::uint32_t commit_inflight_max = 2;
  std::uint64_t commit_bytes_max = std::uint64_t{8} << 20;
  std::uint32_t retry_delay_ms = 100;
  std::uint32_t retry_delay_ms_max = 5000;

  [[nodiscard]] static Options from(const OptionValues& values) {
    const auto u64 = [&](std::string_view key) {
      return static_cast<std::uint64_t>(values.number(key));
    };
    const auto u32 = [&](std::string_view key) {
      return static_cast<std::uint32_t>(values.number(key));
    };
    return {.segment_size = u64("segment_size"),
            .retention_bytes = u64("retention_bytes"),
            .commit_inflight_max = u32("commit_inflight_max"),
            .commit_bytes_max = u64("commit_bytes_max"),
            .retry_delay_ms = u32("retry_delay_ms"),
            .retry_delay_ms_max = u32("retry_delay_ms_max")};
  }
};

}  // namespace tocsin::journal
