#pragma once
// What every subcommand is: a function that adds itself to the command line.

#include <functional>

#include <CLI/CLI.hpp>

namespace tocsin::cli {

/// Exit statuses, the same for every subcommand.
enum ExitStatus : int {
  exit_ok = 0,
  exit_failed = 1,  ///< The command was understood and did not succeed.
  exit_usage = 2,   ///< Wrong arguments or configuration.
};

/// Adds one subcommand; its callback puts the exit status into `status`.
void add_run(CLI::App& app, int& status);
void add_check(CLI::App& app, int& status);
void add_send(CLI::App& app, int& status);
void add_doctor(CLI::App& app, int& status);
void add_version(CLI::App& app, int& status);
void add_bench(CLI::App& app, int& status);
void add_password(CLI::App& app, int& status);
void add_token(CLI::App& app, int& status);

}  // namespace tocsin::cli
