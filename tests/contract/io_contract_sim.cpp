// Runs the contract on the simulator: in a perfect world, and in one that is slow and choppy in all
// the ways that no contract may notice.

#include <deque>

#include "io/sim/sim_io.hpp"
#include "io/sim/sim_world.hpp"
#include "tests/contract/io_contract.hpp"

namespace tocsin::io::contract {
namespace {

IoFactory sim_factory(std::string name, const SimFaults& faults) {
  // Each Io of a test gets a new world. Two are kept: a restart makes the new Io first.
  const auto worlds = std::make_shared<std::deque<SimWorld>>();
  return {.name = std::move(name),
          .make = [worlds, faults](const IoOptions& options) -> std::unique_ptr<Io> {
            if (worlds->size() == 2) worlds->pop_front();
            return worlds->emplace_back(7, faults).make_io(options);
          },
          .make_other = [worlds](Io&) -> std::unique_ptr<Io> { return worlds->back().make_io(); },
          .directory = [] { return std::string{"/contract"}; }};
}

const SimFaults choppy{.latency_max = std::chrono::microseconds{300},
                       .delay = 0.05,
                       .delay_max = std::chrono::milliseconds{2},
                       .short_read = 0.3,
                       .coalesce = 0.2,
                       .coalesce_max = std::chrono::milliseconds{1},
                       .slow_send = 0.2,
                       .slow_send_max = std::chrono::milliseconds{1},
                       .slow_close = 0.5,
                       .slow_close_max = std::chrono::milliseconds{1},
                       .write_latency_max = std::chrono::milliseconds{1},
                       .slow_disk = 0.1,
                       .slow_disk_max = std::chrono::milliseconds{5},
                       .short_write = 0.3};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sim, IoContract,
                         testing::Values(sim_factory("perfect", {}), sim_factory("choppy", choppy)),
                         factory_name);

}  // namespace tocsin::io::contract
