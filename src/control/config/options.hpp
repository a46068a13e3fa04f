#pragma once
// Option tables of what belongs to no single stage: the process, and the resources that bind stages
// together.

#include <array>

#include <tocsin/limits.hpp>
#include <tocsin/option.hpp>

#include "flow/quota_table.hpp"
#include "io/backends.hpp"

namespace tocsin::config {

inline constexpr std::array server_options{
    OptionSpec{.key = "data",
               .type = OptionType::text,
               .fallback = "./tocsin-data",
               .min = 1,
               .help = "Directory of the journal, the cursor and dead letters."},
    OptionSpec{.key = "threads",
               .type = OptionType::integer,
               .fallback = "0",
               .max = 64,
               .help = "Threads that work on events. 1 runs everything on one thread, for small "
                       "gateways; 2 gives matching its own; from 3 the journal has its own too; "
                       "0 chooses by the number of processors, and fewer when memory_max is "
                       "small."},
    OptionSpec{.key = "pin_threads",
               .type = OptionType::boolean,
               .fallback = "false",
               .help = "Gives each thread a processor of its own, of those that the process may "
                       "use, in turn. For machines that do little else."},
    OptionSpec{.key = "memory_max",
               .type = OptionType::bytes,
               .fallback = "192MiB",
               .min = 24LL << 20,
               .max = 64LL << 30,
               .help = "All pools are sized from this; the process stays under it."},
    OptionSpec{.key = "event_size_max",
               .type = OptionType::bytes,
               .fallback = "64KiB",
               .min = 256,
               .max = 128 * 1024,
               .help = "Largest event, its JSON envelope included."},
    OptionSpec{.key = "io",
               .type = OptionType::choice,
               .fallback = "auto",
               .help = "How the kernel is asked for I/O. `auto` takes the first that works here: "
                       "`uring` (Linux 6.0), `uring-single` (io_uring of 5.10), `epoll`. "
                       "`tocsin doctor` shows which and why.",
               .choices = io::backend_choices},
    OptionSpec{.key = "drain_timeout_ms",
               .type = OptionType::duration_ms,
               .fallback = "10s",
               .max = 600'000,
               .help = "How long SIGTERM waits for what is in flight."},
    OptionSpec{.key = "egress_allow",
               .type = OptionType::text_list,
               .help = "Networks, such as \"10.0.0.0/8\", that channels may connect to although "
                       "they are not public. Public addresses need no entry."},
    OptionSpec{.key = "log_level",
               .type = OptionType::choice,
               .fallback = "info",
               .help = "Operational log on standard error.",
               .choices = "debug|info|warning|error"},
};

inline constexpr std::array source_options{
    OptionSpec{.key = "name",
               .type = OptionType::text,
               .min = 1,
               .max = 128,
               .help = "Unique. `POST /api/events` names it in `event`.",
               .required = true},
    OptionSpec{.key = "topic",
               .type = OptionType::text,
               .max = name_size_max,
               .help = "MQTT topic filter whose messages are events of this source. `{name}` "
                       "stands for one level and captures it as an attribute."},
    OptionSpec{.key = "type",
               .type = OptionType::text,
               .max = name_size_max,
               .help = "Event type of device messages; the source's name when not given."},
    OptionSpec{.key = "description", .type = OptionType::text, .max = 1024, .help = "For people."},
    OptionSpec{.key = "level",
               .type = OptionType::choice,
               .fallback = "stored",
               .help = "What an acknowledgement waits for: `stored` (on the disk) or `accepted` "
                       "(in memory).",
               .choices = "stored|accepted"},
    OptionSpec{.key = "priority",
               .type = OptionType::choice,
               .fallback = "normal",
               .help = "Priority of events that carry none.",
               .choices = "low|normal|high|urgent"},
    OptionSpec{.key = "severity",
               .type = OptionType::choice,
               .fallback = "info",
               .help = "Severity of events that carry none.",
               .choices = "info|warning|error|critical"},
    OptionSpec{.key = "rate",
               .type = OptionType::integer,
               .fallback = "0",
               .max = flow::quota_rate_max,
               .help = "Events a second that the source takes, whoever sends them. 0 is no limit."},
    OptionSpec{.key = "burst",
               .type = OptionType::integer,
               .fallback = "0",
               .max = 10 * flow::quota_rate_max,
               .help = "Events that it takes at once after a pause; 0 is those of a second."},
    OptionSpec{.key = "active",
               .type = OptionType::boolean,
               .fallback = "true",
               .help = "Events of an inactive source are refused."},
};

inline constexpr std::array rule_options{
    OptionSpec{.key = "name",
               .type = OptionType::text,
               .min = 1,
               .max = 128,
               .help = "Unique. Part of the notification's id: renaming makes new ids.",
               .required = true},
    OptionSpec{.key = "source",
               .type = OptionType::text,
               .max = 128,
               .help = "Event source; every source when not given."},
    OptionSpec{.key = "pattern",
               .type = OptionType::json,
               .max = 64 * 1024,
               .help = "Event pattern over the payload, as a TOML table or a text of JSON. "
                       "Everything when not given."},
    OptionSpec{.key = "channel",
               .type = OptionType::text,
               .min = 1,
               .max = 128,
               .help = "Channel that delivers the notification.",
               .required = true},
    OptionSpec{.key = "subject",
               .type = OptionType::text,
               .max = 4096,
               .help = "Template. `{{path}}` stands for a value of the payload."},
    OptionSpec{.key = "body",
               .type = OptionType::text,
               .max = 64 * 1024,
               .help = "Template; the payload itself when not given."},
    OptionSpec{.key = "recipients",
               .type = OptionType::text_list,
               .help = "Fixed recipients: topics, addresses, whatever the channel takes."},
    OptionSpec{.key = "recipient_field",
               .type = OptionType::text,
               .max = name_size_max,
               .help = "Path of a payload field that holds a recipient, or an array of them."},
    OptionSpec{.key = "priority",
               .type = OptionType::choice,
               .help = "Overrides the event's priority.",
               .choices = "low|normal|high|urgent"},
    OptionSpec{.key = "severity",
               .type = OptionType::choice,
               .help = "Overrides the event's severity.",
               .choices = "info|warning|error|critical"},
    OptionSpec{.key = "active",
               .type = OptionType::boolean,
               .fallback = "true",
               .help = "An inactive rule matches nothing."},
};

/// What every channel has, whatever its type; delivery and type options stand in the same table.
inline constexpr std::array channel_options{
    OptionSpec{.key = "name",
               .type = OptionType::text,
               .min = 1,
               .max = 128,
               .help = "Unique. Rules name it.",
               .required = true},
    OptionSpec{.key = "type",
               .type = OptionType::text,
               .min = 1,
               .help = "Kind of channel.",
               .required = true},
};

inline constexpr std::array subscription_name_options{
    OptionSpec{.key = "name",
               .type = OptionType::text,
               .min = 1,
               .max = 128,
               .help = "Unique. For logs and metrics.",
               .required = true},
};

}  // namespace tocsin::config
