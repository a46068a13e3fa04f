#pragma once
// Options of a subscription to an existing broker.

#include <array>

#include <tocsin/option.hpp>

#include "flow/broker_options.hpp"

namespace tocsin::ingress {

inline constexpr auto subscription_options = flow::with_broker_options(
    std::array{
        OptionSpec{.key = "broker",
                   .type = OptionType::text,
                   .fallback = "",
                   .min = 1,
                   .max = 512,
                   .help = "mqtt://host[:1883] or mqtts://host[:8883].",
                   .required = true},
        OptionSpec{.key = "topics",
                   .type = OptionType::text_list,
                   .fallback = "",
                   .min = 1,
                   .max = 1000,
                   .help = "Topic filters; \"$share/group/filter\" shares the load.",
                   .required = true},
        OptionSpec{.key = "qos",
                   .type = OptionType::integer,
                   .fallback = "1",
                   .min = 0,
                   .max = 1,
                   .help = "Quality of service asked for."},
    },
    std::array{
        OptionSpec{.key = "queue_max",
                   .type = OptionType::integer,
                   .fallback = "1000",
                   .min = 1,
                   .max = 100'000,
                   .help = "Messages taken from the broker and not yet decoded."},
        OptionSpec{.key = "queue_bytes",
                   .type = OptionType::bytes,
                   .fallback = "4MiB",
                   .min = 1024,
                   .max = 1 << 30,
                   .help = "Their bytes together; one larger message still passes."},
    });

}  // namespace tocsin::ingress
