#pragma once
// How much processor time a thread or a process has wanted: what it got plus what it waited for
// while others ran. On a machine that is shared, only both together tell whether it was saturated.

#include <string>

#include <tocsin/time.hpp>

namespace tocsin::cli::bench {

/// Of one thread, by its folder below /proc ("/proc/thread-self"). 0 when there is none.
[[nodiscard]] Duration thread_demand(const std::string& folder);
/// Of all threads that the process has now.
[[nodiscard]] Duration process_demand(int pid);

}  // namespace tocsin::cli::bench
