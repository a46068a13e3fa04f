#include <cstdio>

#include <fmt/format.h>

#include "cli/command.hpp"
#include "control/config/config.hpp"

namespace tocsin::cli {
namespace {

int check(const std::string& path) {
  const auto config = config::load(path);
  if (!config) {
    for (const auto& problem : config.error()) {
      fmt::print(stderr, "{}\n", config::to_string(problem));
    }
    return exit_usage;
  }
  fmt::print("{}: ok ({} sources, {} rules, {} channels, {} subscriptions)\n", path,
             config->sources.size(), config->rules.size(), config->channels.size(),
             config->subscriptions.size());
  return exit_ok;
}

}  // namespace

void add_check(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("check", "Check a configuration file");
  auto path = std::make_shared<std::string>();
  auto reference = std::make_shared<bool>(false);
  command->add_option("FILE", *path, "Configuration (TOML)");
  command->add_flag("--reference", *reference, "Print the reference of all options instead");
  auto defaults = std::make_shared<bool>(false);
  command->add_flag("--defaults", *defaults, "Print the configuration used without a file");
  command->callback([&status, path, reference, defaults] {
    if (*reference) {
      fmt::print("{}", config::reference_markdown());
    } else if (*defaults) {
      fmt::print("{}", config::embedded_defaults());
    } else if (path->empty()) {
      fmt::print(stderr, "FILE is required\n");
      status = exit_usage;
    } else {
      status = check(*path);
    }
  });
}

}  // namespace tocsin::cli
