#include "cli/command.hpp"
namespace tocsin::cli {
void add_send(CLI::App&, int&) {}
}  // namespace tocsin::cli
