#pragma once
// The backends that stand on a real kernel, for tests that run on each of them.

#include <vector>

#include "tests/contract/io_contract.hpp"

namespace tocsin::io::contract {

/// Those that this kernel offers.
[[nodiscard]] std::vector<IoFactory> kernel_factories();

}  // namespace tocsin::io::contract
