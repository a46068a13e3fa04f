#include "cli/command.hpp"
namespace tocsin::cli {
void add_bench(CLI::App&, int&) {}
}  // namespace tocsin::cli
