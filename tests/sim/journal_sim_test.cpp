// Goal: the journal keeps its promise on the simulated machine too, whatever the seed.
// Method: cut the power after a seeded number of written bytes, boot again, compare.
#include <gtest/gtest.h>

#include "io/sim/sim_io.hpp"
#include "io/sim/sim_world.hpp"
#include "stages/journal/test_rig.hpp"
#include "stages/ledger/ledger_stage.hpp"
#include "tests/support/bury.hpp"

namespace tocsin::journal {
namespace {

/// Journal and ledger as a process has them, on one loop.
struct Machine {
  std::unique_ptr<io::SimIo> io;
  flow::Loop loop;
  flow::BatchPool pool{32, test::batch_size};
  test::Rig::Reactor reactor;
  test::Rig::Worker worker;
  std::unique_ptr<ledger::LedgerStage> ledger;
  std::unique_ptr<JournalStage> journal;

  explicit Machine(io::SimWorld& world) : io(world.make_io()), loop(*io, "sim") {
    static_cast<void>(io->make_directories("data"));
    ledger =
        std::make_unique<ledger::LedgerStage>(loop, "data", ledger::Options{}, 64, make_null_log());
    journal = std::make_unique<JournalStage>(
        loop, pool, *ledger, "data", test::Rig::small_options(),
        Wiring{.reactors = {{&loop, &reactor, 1}}, .workers = {{&loop, &worker, 1}}},
        make_null_log());
  }
  ~Machine() {
    if (!io->dead()) return;
    tocsin::test::bury(std::move(journal));
    tocsin::test::bury(std::move(ledger));
  }
  bool start() {
    if (!ledger->recover() || !journal->recover()) return false;
    ledger->start();
    journal->start();
    return true;
  }
  void append(int number) {
    flow::Batch* batch = pool.acquire();
    if (batch == nullptr) return;
    batch->open(Level::stored, WallTime{}, MonoTime{}, {}, true);
    const std::string payload = test::payload_of(number);
    std::memcpy(batch->payload_tail(), payload.data(), payload.size());
    RecordHeader header{};
    header.payload_size = static_cast<std::uint32_t>(payload.size());
    batch->append(header, "", MonoTime{}, {});
    batch->seal();
    loop.post(
        {.to = journal.get(), .kind = JournalStage::message_append, .arg = 0, .object = batch});
  }
  void turns(int count) {
    for (int i = 0; i < count && !io->dead(); ++i) {
      loop.turn(io->now() + std::chrono::milliseconds(1));
    }
  }
};

TEST(JournalOnSim, AcknowledgedEventsSurvivePowerCutsOfEverySeed) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    io::SimWorld world(seed);
    std::set<std::string> acknowledged;
    std::set<std::string> matched;
    std::uint64_t sequence = 0;
    for (int boot = 0; boot < 4; ++boot) {
      Machine machine(world);
      ASSERT_TRUE(machine.start());
      EXPECT_GE(machine.journal->next_sequence(), sequence);
      if (boot < 3) {
        const auto unsynced = static_cast<io::Unsynced>(seed % 3);
        world.power_cut_after_bytes(20'000 + (seed * 7919 + 5003 * std::uint64_t(boot)) % 90'000,
                                    unsynced);
      }
      for (int i = 0; i < 30 && !machine.io->dead(); ++i) {
        machine.append(1000 * (boot + 1) + i);
        if (i % 3 != 0) machine.turns(3);
      }
      machine.turns(boot < 3 ? 100 : 3000);
      acknowledged.insert(machine.reactor.stored.begin(), machine.reactor.stored.end());
      matched.insert(machine.worker.payloads.begin(), machine.worker.payloads.end());
      sequence = machine.io->dead() ? sequence : machine.journal->next_sequence();
      if (boot < 3 && !machine.io->dead()) world.power_cut(io::Unsynced::lost);
      if (boot == 3) {
        EXPECT_FALSE(machine.journal->replaying());
        EXPECT_EQ(machine.ledger->pending_ranges(), 0U);
        for (int i = 0; i < 100 && !machine.journal->close(); ++i) machine.turns(1);
        for (int i = 0; i < 100 && !machine.ledger->drain(); ++i) machine.turns(1);
        EXPECT_EQ(machine.ledger->cursor(), machine.ledger->settled_end());
      }
    }
    EXPECT_FALSE(acknowledged.empty());
    for (const std::string& payload : acknowledged) {
      EXPECT_TRUE(matched.contains(payload)) << payload;
    }
  }
}

}  // namespace
}  // namespace tocsin::journal
