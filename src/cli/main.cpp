#include <csignal>

#include "cli/command.hpp"

int main(int argc, char** argv) {
  // A peer or a pager that goes away is an error of one write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app{"Tocsin turns what devices say into what people and systems must hear.", "tocsin"};
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  int status = tocsin::cli::exit_ok;
  tocsin::cli::add_run(app, status);
  tocsin::cli::add_check(app, status);
  tocsin::cli::add_send(app, status);
  tocsin::cli::add_bench(app, status);
  tocsin::cli::add_password(app, status);
  tocsin::cli::add_token(app, status);
  tocsin::cli::add_doctor(app, status);
  tocsin::cli::add_version(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? tocsin::cli::exit_ok : tocsin::cli::exit_usage;
  }
  return status;
}
