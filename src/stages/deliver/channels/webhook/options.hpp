#pragma once
// Options of a webhook channel.

#include <array>

#include <tocsin/option.hpp>

namespace tocsin::deliver {

inline constexpr std::array webhook_options{
    OptionSpec{.key = "url",
               .type = OptionType::text,
               .max = 2048,
               .help = "Where to POST. A rule's recipient, when it has one, is used instead."},
    OptionSpec{.key = "secret",
               .type = OptionType::secret,
               .max = 256,
               .help = "Standard Webhooks signing secret, `whsec_...`. Unsigned when not given."},
    OptionSpec{.key = "secret_previous",
               .type = OptionType::secret,
               .max = 256,
               .help = "Second secret while receivers rotate: both signatures are sent."},
    OptionSpec{.key = "format",
               .type = OptionType::choice,
               .fallback = "standard",
               .help = "`standard`: an object with type, timestamp and data; `raw`: the rendered "
                       "body as it is, one notification a request.",
               .choices = "standard|raw"},
    OptionSpec{.key = "content_type",
               .type = OptionType::text,
               .fallback = "application/json",
               .max = 128,
               .help = "Content-Type of a raw body."},
    OptionSpec{.key = "headers",
               .type = OptionType::text_list,
               .help = "Further request headers, each \"Name: value\"."},
    OptionSpec{
        .key = "authorization",
        .type = OptionType::secret,
        .max = 4096,
        .help = "Value of the Authorization header, such as \"Bearer ...\". Like `headers` and the "
                "signature it is sent to the origin of `url` only."},
    OptionSpec{.key = "attempt_timeout_ms",
               .type = OptionType::duration_ms,
               .fallback = "15s",
               .min = 100,
               .max = 120'000,
               .help = "Whole attempt: resolve, connect, TLS, request, answer."},
    OptionSpec{.key = "idle_timeout_ms",
               .type = OptionType::duration_ms,
               .fallback = "30s",
               .min = 100,
               .max = 600'000,
               .help = "How long an unused connection is kept for the next request."},
    OptionSpec{.key = "connections_max",
               .type = OptionType::integer,
               .fallback = "8",
               .min = 1,
               .max = 256,
               .help = "Connections at once."},
    OptionSpec{.key = "ca_file",
               .type = OptionType::text,
               .max = 4096,
               .help = "PEM bundle of trusted authorities; the system's when not given."},
    OptionSpec{.key = "certificate_file",
               .type = OptionType::text,
               .max = 4096,
               .help = "Our own certificate (PEM) for mutual TLS."},
    OptionSpec{.key = "key_file",
               .type = OptionType::text,
               .max = 4096,
               .help = "Key (PEM) of `certificate_file`."},
    OptionSpec{.key = "plain_http",
               .type = OptionType::boolean,
               .fallback = "false",
               .help = "Permits http:// targets. Nothing is encrypted then."},
};

}  // namespace tocsin::deliver
