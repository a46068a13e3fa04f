#include "cli/bench/demand.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

namespace tocsin::cli::bench {

Duration thread_demand(const std::string& folder) {
  // Nanoseconds on a processor, nanoseconds runnable without one, time slices.
  std::ifstream file(folder + "/schedstat");
  std::int64_t ran = 0;
  std::int64_t waited = 0;
  file >> ran >> waited;
  return std::chrono::nanoseconds(ran + waited);
}

Duration process_demand(int pid) {
  Duration total{};
  std::error_code error;  // Threads may end while they are looked at.
  std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", pid), error);
  for (; !error && task != std::filesystem::directory_iterator(); task.increment(error)) {
    total += thread_demand(task->path().string());
  }
  return total;
}

}  // namespace tocsin::cli::bench
