#include "cli/bench/private_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "cli/bench/demand.hpp"

namespace tocsin::cli::bench {
namespace {

constexpr auto start_time_max = std::chrono::seconds(20);
constexpr auto stop_time_max = std::chrono::seconds(20);

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The first processor that this thread may use.
std::optional<int> first_processor(const cpu_set_t& set) {
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) return i;
  }
  return std::nullopt;
}

/// In the child, between fork and exec: nothing here may allocate.
[[noreturn]] void become_server(const char* config, int output, std::optional<int> processor) {
  if (processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(*processor, &one);
    sched_setaffinity(0, sizeof(one), &one);
  }
  dup2(output, STDOUT_FILENO);
  execl("/proc/self/exe", "tocsin", "run", "--config", config, nullptr);
  _exit(127);
}

std::string address_in(std::string_view text, std::string_view name) {
  const std::string mark = fmt::format("\n  {:<7} ", name);
  const auto at = text.find(mark);
  if (at == text.npos) return "";
  const auto rest = text.substr(at + mark.size());
  return std::string(rest.substr(0, rest.find('\n')));
}

}  // namespace

std::optional<int> give_up_one_processor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 2) return std::nullopt;
  const auto first = first_processor(set);
  CPU_CLR(*first, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) return std::nullopt;
  return first;
}

Result<std::unique_ptr<PrivateServer>, std::string> PrivateServer::start(
    ServerSetup setup, const std::string& directory, std::optional<int> processor) {
  std::unique_ptr<PrivateServer> server(new PrivateServer);
  std::error_code error;
  const auto parent =
      directory.empty() ? std::filesystem::temp_directory_path(error).string() : directory;
  std::string pattern = parent + "/tocsin-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    return Unexpected{fmt::format("cannot make a directory in {}: {}", parent, errno_text(errno))};
  }
  server->directory_ = pattern;
  setup.data = pattern + "/data";
  std::ofstream config(pattern + "/bench.toml");
  config << make_server_config(setup);
  config.close();
  if (!config) return Unexpected{fmt::format("cannot write into {}", pattern)};
  if (auto spawned = server->spawn(processor); !spawned) return Unexpected{spawned.error()};
  if (auto found = server->read_addresses(); !found) return Unexpected{found.error()};
  return server;
}

Result<void, std::string> PrivateServer::spawn(std::optional<int> processor) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Unexpected{std::string("pipe failed")};
  output_ = UniqueFd{ends[0]};
  const UniqueFd input{ends[1]};
  const std::string config = directory_ + "/bench.toml";
  child_ = ::fork();
  if (child_ < 0) return Unexpected{fmt::format("cannot start a server: {}", errno_text(errno))};
  if (child_ == 0) become_server(config.c_str(), input.get(), processor);
  return {};
}

Result<void, std::string> PrivateServer::read_addresses() {
  const auto deadline = std::chrono::steady_clock::now() + start_time_max;
  std::string text;
  // The line behind the addresses: then they are whole.
  while (text.find("\n  data ") == text.npos) {
    pollfd wait{.fd = output_.get(), .events = POLLIN, .revents = 0};
    ::poll(&wait, 1, 100);
    std::array<char, 4096> bytes{};
    const auto size = wait.revents == 0 ? -1 : ::read(output_.get(), bytes.data(), bytes.size());
    if (size == 0) return Unexpected{std::string("the private server ended at once")};
    if (size > 0) text.append(bytes.data(), static_cast<std::size_t>(size));
    if (std::chrono::steady_clock::now() > deadline) {
      return Unexpected{std::string("the private server did not start in time")};
    }
  }
  mqtt_ = address_in(text, "MQTT");
  http_ = address_in(text, "HTTP");
  return {};
}

PrivateServer::~PrivateServer() {
  if (child_ > 0) {
    ::kill(child_, SIGTERM);
    const auto deadline = std::chrono::steady_clock::now() + stop_time_max;
    while (::waitpid(child_, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > deadline) ::kill(child_, SIGKILL);
      ::usleep(10'000);
    }
  }
  std::error_code error;  // What cannot be removed from a temporary directory stays there.
  if (!directory_.empty()) std::filesystem::remove_all(directory_, error);
}

Duration PrivateServer::demand() const { return process_demand(child_); }

std::uint64_t PrivateServer::resident_bytes() const {
  std::istringstream fields(read_file(fmt::format("/proc/{}/statm", child_)));
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  fields >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace tocsin::cli::bench
