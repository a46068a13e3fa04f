#pragma once
// What an operator may set about the ledger.

#include <array>
#include <cstdint>

#include <tocsin/option.hpp>

namespace tocsin::ledger {

inline constexpr std::array options_table{
    OptionSpec{.key = "cursor_interval_ms",
               .type = OptionType::duration_ms,
               .fallback = "1000",
               .min = 10,
               .max = 60'000,
               .help = "How often the place to restart from is written at most."},
    OptionSpec{.key = "outcomes_kept",
               .type = OptionType::integer,
               .fallback = "1000",
               .min = 0,
               .max = 1'000'000,
               .help = "Recent ends of notifications that are kept in memory for listing."},
};

struct Options {
  std::uint32_t cursor_interval_ms = 1000;
  std::uint32_t outcomes_kept = 1000;

  [[nodiscard]] static Options from(const OptionValues& values) {
    return {.cursor_interval_ms = static_cast<std::uint32_t>(values.number("cursor_interval_ms")),
            .outcomes_kept = static_cast<std::uint32_t>(values.number("outcomes_kept"))};
  }
};

}  // namespace tocsin::ledger
