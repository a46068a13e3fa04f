// Runs the contract on io_uring.

#include <stdlib.h>

#include "io/uring/uring_io.hpp"
#include "tests/contract/io_contract.hpp"

namespace tocsin::io::contract {
namespace {

std::unique_ptr<Io> make(const IoOptions& options) {
  auto io = make_uring_io(options);
  EXPECT_TRUE(io) << io.error();
  return io ? std::move(*io) : nullptr;
}

IoFactory uring_factory() {
  return {.name = "uring",
          .make = make,
          .make_other = [](Io&) { return make({}); },
          .directory =
              [] {
                std::string name = testing::TempDir() + "/tocsin-io-XXXXXX";
                return std::string{::mkdtemp(name.data())};
              }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Uring, IoContract, testing::Values(uring_factory()), factory_name);

}  // namespace tocsin::io::contract
