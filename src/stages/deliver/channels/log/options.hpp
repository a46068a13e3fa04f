#pragma once
// Options of the log channel.

#include <array>

#include <tocsin/option.hpp>

namespace tocsin::deliver {

inline constexpr std::array log_options{
    OptionSpec{.key = "line_size_max",
               .type = OptionType::bytes,
               .fallback = "4KiB",
               .min = 80,
               .max = 128 << 10,
               .help = "A longer line is cut."},
};

}  // namespace tocsin::deliver
