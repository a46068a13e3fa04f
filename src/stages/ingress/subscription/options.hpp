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
                   .max = 2,
                   .help = "Quality of service asked for; below 1 nothing is kept for us."},
    },
    std::array{
        OptionSpec{.key = "session_expiry_s",
                   .type = OptionType::integer,
                   .fallback = "86400",
                   .min = 0,
                   .max = 4'294'967'295,
                   .help =
                       "How long the broker keeps messages for us while we are away; 0 = not at "
                       "all. MQTT 3.1.1 brokers decide themselves."},
        OptionSpec{.key = "receive_maximum",
                   .type = OptionType::integer,
                   .fallback = "1000",
                   .min = 1,
                   .max = 65'535,
                   .help = "Messages taken from the broker and not yet acknowledged."},
        OptionSpec{.key = "packet_size_max",
                   .type = OptionType::bytes,
                   .fallback = "128KiB",
                   .min = 1024,
                   .max = 16'777'216,
                   .help = "Larger messages are skipped, acknowledged and counted."},
    });

}  // namespace tocsin::ingress
