#pragma once
// Which part of the journal is finished. A range covers one block; it is settled when every worker
// has matched it and every notification it caused has ended. The ledger moves the durable cursor
// over the settled prefix, so that a restart begins with the oldest unsettled block.

#include <atomic>
#include <cstdint>

#include "flow/loop.hpp"

namespace tocsin::flow {

struct SettlementRange {
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::atomic<std::uint32_t> outstanding{0};
  Receiver* ledger = nullptr;  ///< Told when outstanding reaches zero.
  Loop* ledger_loop = nullptr;
  SettlementRange* previous = nullptr;  ///< Links are the ledger's own.
  SettlementRange* next = nullptr;

  /// One thing more to wait for. Any thread that already counts as outstanding.
  void retain(std::uint32_t n = 1) noexcept { outstanding.fetch_add(n, std::memory_order_relaxed); }
  /// One thing less. Any thread.
  void settle(std::uint32_t n = 1) noexcept {
    if (outstanding.fetch_sub(n, std::memory_order_acq_rel) == n) {
      ledger_loop->post({.to = ledger, .kind = message_settled, .arg = 0, .object = this});
    }
  }
  static constexpr std::uint32_t message_settled = 0x5E771ED;
};

/// What the journal needs of the ledger: both live on the journal's loop.
class SettlementRegistry {
 public:
  /// A range that waits for `outstanding` settles; valid until it is settled. Ranges above the
  /// durable end may come out of order, others ascend.
  [[nodiscard]] virtual SettlementRange* register_range(std::uint64_t first, std::uint64_t last,
                                                        std::uint32_t outstanding) = 0;
  /// Nothing up to here can be lost any more, or it is lost for good: the cursor may follow.
  virtual void set_durable_end(std::uint64_t sequence) noexcept = 0;
  /// Everything up to here is settled, durably noted: a restart begins behind it.
  [[nodiscard]] virtual std::uint64_t cursor() const noexcept = 0;

 protected:
  ~SettlementRegistry() = default;
};

}  // namespace tocsin::flow
