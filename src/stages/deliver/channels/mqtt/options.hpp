#pragma once
// Options of the mqtt channel.

#include <array>

#include <tocsin/option.hpp>

#include "flow/broker_options.hpp"

namespace tocsin::deliver {

inline constexpr auto mqtt_options = flow::with_broker_options(
    std::array{
        OptionSpec{.key = "broker",
                   .type = OptionType::text,
                   .fallback = "self",
                   .min = 1,
                   .max = 512,
                   .help = "\"self\": subscribers of our own listener; else mqtt://host[:1883] or "
                           "mqtts://host[:8883]."},
        OptionSpec{.key = "topic",
                   .type = OptionType::text,
                   .fallback = "notifications/{rule}",
                   .min = 1,
                   .max = 512,
                   .help =
                       "Topic; {rule}, {recipient} and {type} are replaced. Below notifications/ "
                       "when the broker is self."},
        OptionSpec{.key = "qos",
                   .type = OptionType::integer,
                   .fallback = "1",
                   .min = 0,
                   .max = 1,
                   .help = "Quality of service."},
    },
    std::array{
        OptionSpec{.key = "attempt_timeout_ms",
                   .type = OptionType::duration_ms,
                   .fallback = "10000",
                   .min = 100,
                   .max = 170'000,
                   .help = "Until the broker has acknowledged."},
        OptionSpec{.key = "outstanding_max",
                   .type = OptionType::integer,
                   .fallback = "64",
                   .min = 1,
                   .max = 1000,
                   .help = "Publishes that may wait for their acknowledgement."},
    });

}  // namespace tocsin::deliver
