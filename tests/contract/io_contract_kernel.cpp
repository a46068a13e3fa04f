// Runs the contract on io_uring, on io_uring as of Linux 5.10, and on epoll.

#include "tests/contract/io_contract_kernel.hpp"

#include <stdlib.h>

#include "io/epoll/epoll_io.hpp"
#include "io/uring/probe.hpp"
#include "io/uring/uring_io.hpp"

namespace tocsin::io::contract {
namespace {

using Made = Result<std::unique_ptr<Io>, std::string>;

std::unique_ptr<Io> checked(Made io) {
  EXPECT_TRUE(io) << io.error();
  return io ? std::move(*io) : nullptr;
}

Made make_uring_5_10(const IoOptions& options) {
  return make_uring_single_io(options, UringBaseline::linux_5_10);
}
Made make_uring_single(const IoOptions& options) { return make_uring_single_io(options); }

IoFactory kernel_factory(std::string name, Made (*make)(const IoOptions&)) {
  return {.name = std::move(name),
          .make = [make](const IoOptions& options) { return checked(make(options)); },
          .make_other = [make](Io&) { return checked(make({})); },
          .directory =
              [] {
                std::string directory = testing::TempDir() + "/tocsin-io-XXXXXX";
                return std::string{::mkdtemp(directory.data())};
              }};
}

}  // namespace

std::vector<IoFactory> kernel_factories() {
  const KernelProbe probe = probe_kernel();
  std::vector<IoFactory> factories{kernel_factory("epoll", make_epoll_io)};
  if (probe.multishot_usable()) factories.push_back(kernel_factory("uring", make_uring_io));
  if (probe.single_shot_usable()) {
    factories.push_back(kernel_factory("uring_single", make_uring_single));
    factories.push_back(kernel_factory("uring_5_10", make_uring_5_10));
  }
  return factories;
}

INSTANTIATE_TEST_SUITE_P(Kernel, IoContract, testing::ValuesIn(kernel_factories()), factory_name);

}  // namespace tocsin::io::contract
