#pragma once
// Options that every channel has, whatever its type: batching, concurrency, retries, bounds.

#include <array>

#include <tocsin/option.hpp>

namespace tocsin::deliver {

inline constexpr std::array delivery_options{
    OptionSpec{.key = "batch_count", .type = OptionType::integer, .fallback = "1", .min = 1,
               .max = 1000, .help = "Notifications to one recipient in one message; 1 = no batching."},
    OptionSpec{.key = "batch_bytes", .type = OptionType::bytes, .fallback = "256KiB", .min = 1024,
               .max = 16 << 20, .help = "Subjects and bodies of one message together."},
    OptionSpec{.key = "linger_ms", .type = OptionType::duration_ms, .fallback = "0", .min = 0,
               .max = 86'400'000,
               .help = "How long a message waits for more; 0 = only for what is already queued."},
    OptionSpec{.key = "inflight_max", .type = OptionType::integer, .fallback = "16", .min = 1,
               .max = 1024, .help = "Messages being sent at once."},
    OptionSpec{.key = "queue_max", .type = OptionType::integer, .fallback = "10000", .min = 1,
               .max = 10'000'000,
               .help = "Notifications waiting or being sent; what comes beyond is a dead letter."},
    OptionSpec{.key = "attempts_max", .type = OptionType::integer, .fallback = "3", .min = 1,
               .max = 100, .help = "Attempts before a message is a dead letter."},
    OptionSpec{.key = "retry_schedule", .type = OptionType::text, .fallback = "60s,300s,900s",
               .min = 1, .max = 512,
               .help = "Waits between attempts, such as \"500ms,10s,5m\"; the last one repeats."},
    OptionSpec{.key = "retry_jitter", .type = OptionType::boolean, .fallback = "true",
               .help = "Wait a random part of the scheduled time instead of all of it."},
    OptionSpec{.key = "expiry", .type = OptionType::duration_ms, .fallback = "0", .min = 0,
               .max = 2'592'000'000,
               .help = "Age of the event from which it is not worth sending; 0 = never."},
    OptionSpec{.key = "priority_quantum", .type = OptionType::integer, .fallback = "16", .min = 1,
               .max = 10'000,
               .help = "Messages that may overtake a waiting one of lower priority."},
    OptionSpec{.key = "stuck_timeout_ms", .type = OptionType::duration_ms, .fallback = "180000",
               .min = 1000, .max = 3'600'000,
               .help = "An attempt without an answer for so long restarts the channel; above the "
                       "channel's own timeouts."},
};

}  // namespace tocsin::deliver
