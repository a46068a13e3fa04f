// `tocsin password` and `tocsin token`: what [[user]] tables hold instead of secrets.

#include <sodium.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "cli/command.hpp"
#include "control/auth/password_hash.hpp"
#include "control/auth/token.hpp"

namespace tocsin::cli {
namespace {

/// While it lives, the terminal does not show what is typed.
class Silence {
 public:
  Silence() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    active_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (!active_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    fmt::print(stderr, "\n");
  }

 private:
  termios before_{};
  bool active_ = false;
};

std::optional<std::string> read_line(std::string_view prompt) {
  std::string line;
  if (isatty(STDIN_FILENO) == 0) {
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  fmt::print(stderr, "{}: ", prompt);
  const Silence silence;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

int print_password_hash(const auth::HashCost& cost) {
  auto password = read_line("Password");
  if (password && isatty(STDIN_FILENO) != 0 && read_line("Once more") != password) {
    fmt::print(stderr, "the two are not the same\n");
    return exit_failed;
  }
  if (!password) {
    fmt::print(stderr, "no password on standard input\n");
    return exit_usage;
  }
  const auto hash = auth::hash_password(*password, cost);
  sodium_memzero(password->data(), password->size());
  if (!hash) {
    fmt::print(stderr, "{}\n", hash.error());
    return exit_failed;
  }
  fmt::print("{}\n", *hash);
  return exit_ok;
}

int print_token() {
  if (sodium_init() < 0) {
    fmt::print(stderr, "no source of randomness\n");
    return exit_failed;
  }
  const std::string token = auth::make_token();
  fmt::print("token      = {}\ntoken_hash = \"{}\"\n", token,
             auth::to_string(auth::hash_token(token)));
  return exit_ok;
}

}  // namespace

void add_password(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "password", "Read a password (standard input or terminal) and print its hash for a [[user]]");
  auto memory_kib = std::make_shared<std::uint32_t>(
      static_cast<std::uint32_t>(auth::default_hash_cost.memory_bytes / 1024));
  auto passes = std::make_shared<std::uint32_t>(auth::default_hash_cost.passes);
  command->add_option("--memory-kib", *memory_kib, "Memory that each check of the password takes")
      ->check(CLI::Range(8U, 4U << 20U))
      ->capture_default_str();
  command->add_option("--passes", *passes, "Passes over that memory")
      ->check(CLI::Range(1U, auth::hash_passes_max))
      ->capture_default_str();
  command->callback([&status, memory_kib, passes] {
    status =
        print_password_hash({.memory_bytes = std::uint64_t{*memory_kib} * 1024, .passes = *passes});
  });
}

void add_token(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("token", "Print a new token, and its hash for a [[user]]");
  command->callback([&status] { status = print_token(); });
}

}  // namespace tocsin::cli
