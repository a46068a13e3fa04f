// Goal: the whole engine keeps its promises in a world where things go wrong, whatever the seed:
// what was acknowledged is stored, what is stored and matches is delivered or a dead letter,
// nothing is made up, order per producer holds, and the accounting adds up.
// Method: simulated producers, receiver and subscriber around a real engine; faults by seed; then
// everything heals, the engine starts once more, and everybody's ids are compared.
// TOCSIN_SIM_SEEDS=N runs N seeds of each scenario.

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>

#include <gtest/gtest.h>

#include "tests/sim/engine_rig.hpp"

namespace tocsin::sim_test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::uint64_t seeds(std::uint64_t usual) {
  const char* const wanted = std::getenv("TOCSIN_SIM_SEEDS");
  return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

void add_producers(EngineRig& rig, std::uint32_t total = 30) {
  rig.add_device({.name = "d1", .version = mqtt::Version::v5, .window = 1, .total = total});
  rig.add_device({.name = "d2", .version = mqtt::Version::v3_1_1, .window = 8, .total = total});
  rig.add_device({.name = "d3", .version = mqtt::Version::v5, .qos = 0, .total = total});
  rig.add_client({.name = "h1", .batch_max = 1, .total = total});
  rig.add_client({.name = "h2", .batch_max = 9, .total = 2 * total});
}

using Act = std::function<void(EngineRig&)>;

/// Starts the engine, then lets `acts` happen in a seeded order with the world running in between.
void run_chaos(EngineRig& rig, const std::vector<Act>& acts, int steps = 10) {
  add_producers(rig);
  ASSERT_TRUE(rig.start_engine()) << rig.last_error();
  for (int step = 0; step < steps; ++step) {
    rig.world.run_for(rig.random.between(milliseconds{1}, milliseconds{800}));
    if (!acts.empty()) acts[static_cast<std::size_t>(rig.random.below(acts.size()))](rig);
    // A start may fail while the disk does; somebody tries again, as systemd would.
    if (!rig.alive()) static_cast<void>(rig.start_engine());
    if (rig.alive()) rig.check_accounting(false);
    if (::testing::Test::HasFailure()) return;
  }
  rig.finish();
}

void for_seeds(std::uint64_t usual, const std::function<void(std::uint64_t)>& run) {
  for (std::uint64_t seed = 1; seed <= seeds(usual); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    run(seed);
    if (::testing::Test::HasFailure()) return;
  }
}

io::SimFaults bad_network() {
  return {.latency_max = milliseconds{5},
          .delay = 0.05,
          .delay_max = milliseconds{500},
          .short_read = 0.5,
          .coalesce = 0.2,
          .data_after_stop = 0.5,
          .reset = 0.02,
          .connect_refused = 0.1,
          .accept_error = 0.05,
          .slow_send = 0.1,
          .slow_send_max = milliseconds{300},
          .slow_close = 0.3,
          .window_bytes = 4096,
          .segment_bytes = 700};
}

// --- acts

void kill(EngineRig& rig) {
  rig.world.kill_process();
  rig.bury_engine();
}
void cut_power(EngineRig& rig) {
  rig.power_failed = true;
  rig.world.power_cut(static_cast<io::Unsynced>(rig.random.below(3)));
  rig.bury_engine();
}
void cut_power_in_a_write(EngineRig& rig) {
  rig.power_failed = true;
  rig.world.power_cut_after_bytes(1 + rig.random.below(60'000), io::Unsynced::kept);
  rig.world.run_until([&] { return !rig.alive(); }, seconds{5});
  if (!rig.alive()) rig.bury_engine();
}
void restart(EngineRig& rig) {
  if (rig.alive()) rig.stop_engine();
}
void partition_one(EngineRig& rig) {
  const std::array endpoints{EngineRig::mqtt_endpoint(), EngineRig::http_endpoint(),
                             EngineRig::hook_endpoint()};
  rig.world.partition(endpoints.at(static_cast<std::size_t>(rig.random.below(endpoints.size()))));
}
void heal_network(EngineRig& rig) { rig.world.heal_all(); }
void no_space(EngineRig& rig) {
  rig.disk_failed = true;
  rig.world.fail_nth_write(1 + rig.random.below(5), ENOSPC, io::Repeat::forever,
                           rig.random.below(5000));
}
void failing_syncs(EngineRig& rig) {
  rig.disk_failed = true;
  rig.world.fail_nth_sync(1 + rig.random.below(5), EIO,
                          rig.random.chance(0.5) ? io::Repeat::once : io::Repeat::forever);
}
void failing_opens(EngineRig& rig) {
  rig.disk_failed = true;
  rig.world.fail_nth(io::FileOperation::open, 1 + rig.random.below(3), EIO, io::Repeat::forever);
}
void mend_disk(EngineRig& rig) { rig.world.clear_file_faults(); }
void jump_clock(EngineRig& rig) {
  rig.world.step_wall(rig.random.between(-hours{100}, hours{100}));
  rig.world.set_wall_trusted(rig.random.chance(0.7));
}
void moody_receiver(EngineRig& rig) {
  rig.receiver->weights.clear();
  for (int i = 0; i < 5; ++i) {
    rig.receiver->weights.push_back(static_cast<std::uint32_t>(1 + rig.random.below(4)));
  }
}

// --- scenarios

// Goal: with nothing going wrong everything arrives exactly once, at the subscriber too.
TEST(EngineSim, HappyPath) {
  for_seeds(2, [](std::uint64_t seed) {
    EngineRig rig(seed);
    ASSERT_TRUE(rig.start_engine()) << rig.last_error();
    ASSERT_TRUE(rig.world.run_until([&] { return rig.subscriber->subscribed(); }, seconds{5}));
    add_producers(rig);
    rig.finish();
    EXPECT_EQ(rig.truth.refusals, 0U);
    EXPECT_EQ(rig.truth.sent.size(), 5U * 30U + 30U + 1U);
    EXPECT_EQ(rig.truth.acknowledged.size(), rig.truth.sent.size() - 30U) << "QoS 0 has no answer";
    for (const auto& [id, arrival] : rig.truth.webhooks) EXPECT_EQ(arrival.attempts, 1U) << id;
    for (const std::string& name : rig.truth.sent) {
      const bool noted = name.starts_with('d') && alarm_of(name);
      EXPECT_EQ(rig.truth.notes[name], noted ? 1U : 0U) << name;
    }
  });
}

// Goal: the same seed gives the same run to the last byte; another seed another one.
TEST(EngineSim, SeedDecidesTheTrace) {
  const auto trace = [](std::uint64_t seed) {
    EngineRig rig(seed, bad_network());
    run_chaos(rig, {kill, cut_power, moody_receiver, jump_clock}, 6);
    return rig.world.trace_hash();
  };
  const std::uint64_t first = trace(1);
  EXPECT_EQ(trace(1), first);
  EXPECT_NE(trace(2), first);
}

TEST(EngineSim, BadNetwork) {
  for_seeds(6, [](std::uint64_t seed) {
    EngineRig rig(seed, bad_network());
    run_chaos(rig, {});
  });
}

TEST(EngineSim, MoodyReceiver) {
  for_seeds(4, [](std::uint64_t seed) {
    EngineRig rig(seed);
    run_chaos(rig, {moody_receiver});
  });
}

// Goal: a receiver that never answers costs the producers nothing.
TEST(EngineSim, StuckReceiver) {
  for_seeds(3, [](std::uint64_t seed) {
    EngineRig rig(seed);
    rig.receiver->weights = {0, 0, 0, 1};
    run_chaos(rig, {[](EngineRig& r) { EXPECT_EQ(r.truth.refusals, 0U); }}, 20);
  });
}

// Goal: what a receiver refuses for good is in the dead letters, whatever happens to the process.
TEST(EngineSim, DeadLettersAreKept) {
  for_seeds(4, [](std::uint64_t seed) {
    EngineRig rig(seed);
    rig.receiver->weights = {2, 1, 0, 0, 0, 2};
    run_chaos(rig, {kill, cut_power, cut_power_in_a_write, restart});
    EXPECT_FALSE(rig.read_dead_letters().empty());
  });
}

// Goal: while the disk refuses writes nothing is acknowledged, and it recovers by itself.
TEST(EngineSim, FailingDisk) {
  for_seeds(6, [](std::uint64_t seed) {
    EngineRig rig(seed, {.write_error = 0.1, .short_write = 0.3, .sync_error = 0.05});
    rig.disk_failed = true;
    run_chaos(rig, {failing_syncs, failing_opens, mend_disk, mend_disk});
  });
}

TEST(EngineSim, NoSpace) {
  for_seeds(4, [](std::uint64_t seed) {
    EngineRig rig(seed);
    run_chaos(rig, {no_space, mend_disk});
  });
}

TEST(EngineSim, KillsAndRestarts) {
  for_seeds(6, [](std::uint64_t seed) {
    EngineRig rig(seed, {.slow_disk = 0.1, .slow_disk_max = milliseconds{200}});
    run_chaos(rig, {kill, restart, moody_receiver});
  });
}

TEST(EngineSim, PowerCuts) {
  for_seeds(6, [](std::uint64_t seed) {
    EngineRig rig(seed, {.slow_disk = 0.1, .slow_disk_max = milliseconds{200}});
    run_chaos(rig, {cut_power, cut_power_in_a_write});
  });
}

// Goal: where old files become new ones, what is left in them never comes back as events.
TEST(EngineSim, FilesServeAgain) {
  std::size_t recycled = 0;
  for_seeds(6, [&](std::uint64_t seed) {
    EngineRig rig(seed, {.slow_disk = 0.1, .slow_disk_max = milliseconds{200}});
    rig.forgets = true;
    run_chaos(rig, {kill, cut_power, cut_power_in_a_write, restart});
    for (const std::string& path : rig.world.disk().list_files()) {
      recycled += path.ends_with(".seg") && path.find("journal/") != path.npos &&
                          path.find('-', path.find("journal/")) != path.npos
                      ? 1
                      : 0;
    }
  });
  EXPECT_GT(recycled, 0U) << "no file served again: the test shows nothing";
}

TEST(EngineSim, PartitionsHeal) {
  for_seeds(4, [](std::uint64_t seed) {
    EngineRig rig(seed);
    run_chaos(rig, {partition_one, heal_network}, 14);
  });
}

TEST(EngineSim, ClockJumps) {
  for_seeds(3, [](std::uint64_t seed) {
    EngineRig rig(seed);
    run_chaos(rig, {jump_clock, moody_receiver, kill});
  });
}

TEST(EngineSim, EverythingAtOnce) {
  for_seeds(6, [](std::uint64_t seed) {
    io::SimFaults faults = bad_network();
    faults.slow_disk = 0.05;
    faults.slow_disk_max = milliseconds{300};
    faults.write_error = 0.02;
    faults.short_write = 0.2;
    faults.sync_error = 0.02;
    EngineRig rig(seed, faults);
    rig.disk_failed = true;
    run_chaos(rig,
              {kill, cut_power, cut_power_in_a_write, restart, partition_one, heal_network,
               no_space, failing_syncs, mend_disk, jump_clock, moody_receiver},
              16);
  });
}

}  // namespace
}  // namespace tocsin::sim_test
