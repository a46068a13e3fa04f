#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <simdjson.h>

#include "cli/command.hpp"
#include "control/config/config.hpp"
#include "control/config/units.hpp"
#include "flow/memory_plan.hpp"
#include "io/backends.hpp"
#include "io/uring/probe.hpp"

namespace tocsin::cli {
namespace {

void row(std::string_view name, std::string_view value) { fmt::print("{:<22}{}\n", name, value); }

std::string_view yes_no(bool value) { return value ? "yes" : "no"; }

std::string limit_text(std::uint64_t soft, std::uint64_t hard) {
  const auto one = [](std::uint64_t v) {
    return v == UINT64_MAX ? std::string("unlimited") : std::to_string(v);
  };
  return fmt::format("{} (hard {})", one(soft), one(hard));
}

std::string offer(const std::string& missing) { return missing.empty() ? "yes" : "no: " + missing; }

void print_kernel(const io::KernelProbe& probe) {
  row("kernel", probe.kernel_release);
  if (const auto chosen = io::choose_backend("auto")) {
    row("I/O backend", fmt::format("{}: {}", io::to_string(chosen->backend), chosen->why));
  }
  row("  uring", offer(probe.multishot_reason));
  row("  uring-single", offer(probe.single_shot_reason));
  row("  epoll", "yes");
  row("  deferred task work", yes_no(probe.deferred_taskrun));
  row("open files", limit_text(probe.files_soft, probe.files_hard));
  row("locked memory", limit_text(probe.memlock_bytes_soft, probe.memlock_bytes_hard));
}

void print_clock() {
  timex state{};
  const int code = adjtimex(&state);
  const bool synchronized = code >= 0 && (state.status & STA_UNSYNC) == 0;
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  row("clock", fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z, {}", utc.tm_year + 1900,
                           utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                           synchronized ? "synchronized" : "not synchronized"));
}

void print_data(const std::string& data) {
  const std::string place = std::filesystem::exists(data) ? data : ".";
  struct statvfs disk {};
  if (statvfs(place.c_str(), &disk) == 0) {
    row("data", fmt::format("{}, {:.1f} GiB free", data,
                            static_cast<double>(disk.f_bavail) *
                                static_cast<double>(disk.f_frsize) / (1 << 30)));
  }
}

int doctor(const std::string& data) {
  const io::KernelProbe probe = io::probe_kernel();
  row("version", TOCSIN_VERSION);
  print_kernel(probe);
  row("processors", std::to_string(std::thread::hardware_concurrency()));
  if (const auto defaults = config::parse(config::embedded_defaults(), "embedded defaults")) {
    const auto memory_max = flow::addressable(defaults->server.number("memory_max"));
    const auto plan = flow::plan_resources(memory_max, 0, std::thread::hardware_concurrency());
    row("threads by default", std::to_string(plan->threads.threads()));
  }
  row("JSON kernel", simdjson::get_active_implementation()->name());
  print_clock();
  print_data(data);
  return exit_ok;
}

}  // namespace

void add_doctor(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Show what this machine offers and what would be chosen, and why");
  auto data = std::make_shared<std::string>("./tocsin-data");
  command->add_option("--data", *data, "Data directory");
  command->callback([&status, data] { status = doctor(*data); });
}

}  // namespace tocsin::cli
