#include <cstdio>

#include <fmt/format.h>
#include <mbedtls/version.h>
#include <simdjson.h>

#include "cli/command.hpp"

namespace tocsin::cli {

void add_version(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("version", "Print the version and what it runs on");
  command->callback([&status] {
    fmt::print("tocsin {}\ncompiler: {}\nJSON kernel: {}\nmbedTLS: {}\n", TOCSIN_VERSION,
               __VERSION__, simdjson::get_active_implementation()->name(), MBEDTLS_VERSION_STRING);
    status = exit_ok;
  });
}

}  // namespace tocsin::cli
