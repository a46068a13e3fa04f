#include "cli/bench/run.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "cli/bench/generator.hpp"
#include "io/backends.hpp"

namespace tocsin::cli::bench {

void raise_file_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::unique_ptr<Summary>, std::string> run(const Plan& plan) {
  raise_file_limit();
  Rendezvous rendezvous;
  std::vector<std::unique_ptr<io::Io>> ios;
  std::vector<std::unique_ptr<Generator>> generators;
  const auto choice = io::choose_backend("auto");
  if (!choice) return Unexpected{choice.error()};
  for (std::uint32_t i = 0; i < plan.threads; ++i) {
    auto made = io::make_io(choice->backend, io_options);
    if (!made) return Unexpected{made.error()};
    ios.push_back(std::move(*made));
    generators.push_back(std::make_unique<Generator>(*ios.back(), plan, i, rendezvous));
  }
  std::vector<std::jthread> threads;
  for (const auto& generator : generators) {
    threads.emplace_back([&generator] {
      // The kernel may delay timers by 50 us by default: a tenth of what is being measured.
      prctl(PR_SET_TIMERSLACK, 1UL);
      generator->run();
    });
  }
  threads.clear();  // Joins.
  auto summary = std::make_unique<Summary>();
  for (const auto& generator : generators) {
    summary->tally.merge(generator->tally());
    summary->elapsed = std::max(summary->elapsed, generator->elapsed());
  }
  return summary;
}

}  // namespace tocsin::cli::bench
