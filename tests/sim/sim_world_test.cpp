#include <cerrno>

#include <gtest/gtest.h>

#include "flow/loop.hpp"
#include "tests/sim/sim_test_peer.hpp"

namespace tocsin::io::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A bit of everything, under faults. Returns the trace.
std::uint64_t run_scenario(std::uint64_t seed) {
  Pair pair(seed, {.delay = 0.2,
                   .short_read = 0.5,
                   .coalesce = 0.2,
                   .reset = 0.02,
                   .connect_refused = 0.1,
                   .accept_error = 0.1,
                   .slow_send = 0.2,
                   .segment_bytes = 50,
                   .slow_disk = 0.2,
                   .write_error = 0.1});
  const FileId file = *pair.server->open("f", OpenMode::create_new);
  RecordingFile done;
  std::vector<std::unique_ptr<RecordingStream>> clients;
  const std::string text(300, 't');
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<RecordingStream>());
    RecordingStream& client = *clients.back();
    client.id = *pair.peer->connect(pair.endpoint, client);
    pair.world.run_until([&] { return client.connected.has_value(); });
    if (client.connected == 0) pair.peer->send(client.id, bytes_of(text));
    pair.server->write_and_sync(file, bytes_of(text), static_cast<std::uint64_t>(i) * 300, done);
    pair.world.run_for(seconds{1});
    pair.peer->close(client.id);
  }
  pair.world.run_for(seconds{10});
  EXPECT_EQ(done.done.size(), 10U);
  EXPECT_GT(pair.world.trace_count(), 40U);
  return pair.world.trace_hash();
}

// Goal: the same seed gives the same trace; other seeds give others.
TEST(SimWorld, SeedDecidesTheTrace) {
  std::vector<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::uint64_t trace = run_scenario(seed);
    EXPECT_EQ(run_scenario(seed), trace) << "seed=" << seed;
    EXPECT_EQ(std::count(traces.begin(), traces.end(), trace), 0) << "seed=" << seed;
    traces.push_back(trace);
  }
}

// Goal: poll() jumps to the deadline or to the next event, and does not wait when told so or woken.
TEST(SimWorld, PollMovesTime) {
  SimWorld world(1);
  auto io = world.make_io();
  const MonoTime began = io->now();
  io->poll(began + seconds{10});
  EXPECT_EQ(io->now(), began + seconds{10});
  io->wake();
  io->poll(MonoTime::max());
  EXPECT_EQ(io->now(), began + seconds{10});
  io->poll(MonoTime::min());
  EXPECT_LE(io->now(), began + seconds{10} + microseconds{1});
  RecordingFile done;
  const FileId file = *io->open("f", OpenMode::create_new);
  const MonoTime asked = io->now();
  io->write(file, bytes_of("x"), 0, done);
  io->poll(MonoTime::max());
  EXPECT_EQ(done.done.size(), 1U);
  EXPECT_EQ(io->now() - asked, world.faults().write_latency_min);
}

// Goal: polling two Ios by hand in turn works: neither jumps over what the other has to do.
TEST(SimWorld, PollingByHand) {
  Pair pair(2);
  pair.client.id = *pair.peer->connect(pair.endpoint, pair.client);
  for (int i = 0; i < 10; ++i) {
    const bool connected = pair.client.connected && pair.acceptor.streams.size() == 1;
    if (connected) break;
    SimIo& turn = i % 2 == 0 ? *pair.peer : *pair.server;
    turn.poll(turn.now() + seconds{1});
  }
  EXPECT_EQ(pair.client.connected, 0);
  EXPECT_EQ(pair.acceptor.streams.size(), 1U);
  EXPECT_LT(pair.world.now() - SimTimeline::start, milliseconds{2});
}

struct RepeatingTimer final : flow::Timer {
  void on_timer(MonoTime now) noexcept override {
    fired.push_back(now);
    loop->arm(*this, now + period);
  }
  flow::Loop* loop = nullptr;
  Duration period{};
  std::vector<MonoTime> fired;
};

// Goal: the timers of several loops fire at their exact times, whichever Io is stepped first.
TEST(SimWorld, RunUntilHonoursLoopTimers) {
  SimWorld world(3);
  auto io_a = world.make_io();
  auto io_b = world.make_remote_io();
  flow::Loop loop_a(*io_a, "a");
  flow::Loop loop_b(*io_b, "b");
  RepeatingTimer timer_a;
  RepeatingTimer timer_b;
  timer_a.loop = &loop_a;
  timer_b.loop = &loop_b;
  timer_a.period = milliseconds{7};
  timer_b.period = milliseconds{3};
  const MonoTime began = world.now();
  loop_a.arm(timer_a, began + timer_a.period);
  loop_b.arm(timer_b, began + timer_b.period);
  world.set_turn(*io_a, [&] { loop_a.turn(); });
  world.set_turn(*io_b, [&] { loop_b.turn(); });
  world.run_for(milliseconds{100});
  ASSERT_EQ(timer_a.fired.size(), 14U);
  ASSERT_EQ(timer_b.fired.size(), 33U);
  EXPECT_EQ(timer_a.fired.back(), began + milliseconds{98});
  EXPECT_EQ(timer_b.fired.back(), began + milliseconds{99});
}

// Goal: an owner that always wants to run at once does not stop time, and run_until gives up.
TEST(SimWorld, BusyLoopsDoNotStopTime) {
  SimWorld world(4);
  auto io = world.make_io();
  world.set_turn(*io, [&] { io->poll(MonoTime::min()); });
  const MonoTime began = world.now();
  EXPECT_FALSE(world.run_until([] { return false; }, milliseconds{1}));
  EXPECT_EQ(world.now(), began + milliseconds{1});
  EXPECT_TRUE(world.run_until([&] { return world.now() > began + milliseconds{1}; }));
}

// Goal: wall time goes along, steps alone, and can be untrusted.
TEST(SimWorld, WallClockStepsAlone) {
  SimWorld world(5);
  auto io = world.make_io();
  const WallTime wall = io->wall_now();
  const MonoTime mono = io->now();
  world.run_for(seconds{5});
  EXPECT_EQ(io->wall_now(), wall + seconds{5});
  world.step_wall(-seconds{3600});
  EXPECT_EQ(io->wall_now(), wall + seconds{5} - seconds{3600});
  EXPECT_EQ(io->now(), mono + seconds{5});
  EXPECT_TRUE(io->wall_trusted());
  world.set_wall_trusted(false);
  EXPECT_FALSE(io->wall_trusted());
}

// Goal: a power cut gives a new boot id and a monotonic clock that starts again; a kill does not.
TEST(SimWorld, BootIdChangesWithPowerOnly) {
  SimWorld world(6);
  auto io = world.make_io();
  const BootId boot = io->boot_id();
  world.run_for(seconds{100});
  const WallTime wall = io->wall_now();
  world.kill_process();
  io = world.make_io();
  EXPECT_EQ(io->boot_id(), boot);
  EXPECT_GT(io->now() - MonoTime{}, seconds{100});
  world.power_cut();
  io = world.make_io();
  EXPECT_NE(io->boot_id(), boot);
  EXPECT_LT(io->now() - MonoTime{}, seconds{2});
  EXPECT_GE(io->wall_now(), wall);
  const MonoTime now = io->now();
  io->poll(now + seconds{1});
  EXPECT_EQ(io->now(), now + seconds{1});
}

// Goal: random() follows from the seed, and each Io has its own.
TEST(SimWorld, RandomComesFromTheSeed) {
  const auto draw = [](std::uint64_t seed, int which) {
    SimWorld world(seed);
    auto first = world.make_io();
    auto second = world.make_io();
    std::array<std::byte, 16> bytes{};
    (which == 0 ? first : second)->random(bytes);
    return bytes;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
}

// Goal: kill -9 resets the peers and silences the dead process's handlers.
TEST(SimWorld, KillResetsPeers) {
  Pair pair(7);
  pair.connect();
  pair.peer->send(pair.client.id, bytes_of("x"));
  pair.world.kill_process();
  pair.world.run_for(seconds{1});
  EXPECT_TRUE(pair.server->dead());
  EXPECT_FALSE(pair.peer->dead());
  EXPECT_EQ(pair.client.end, ECONNRESET);
  EXPECT_EQ(pair.accepted().data, "");
  EXPECT_EQ(pair.accepted().closed, 0);
  pair.server->poll(MonoTime::max());
}

// Goal: a power cut tells the peers nothing; what they send is answered only by the next boot.
TEST(SimWorld, PowerCutIsSilentUntilBoot) {
  Pair pair(8);
  pair.connect();
  pair.world.power_cut();
  pair.peer->send(pair.client.id, bytes_of("anybody there?"));
  RecordingStream second;
  second.id = *pair.peer->connect(pair.endpoint, second);
  pair.world.run_for(seconds{3600});
  EXPECT_FALSE(pair.client.end);
  EXPECT_FALSE(second.connected);
  pair.server = pair.world.make_io();
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.end, ECONNRESET);
  EXPECT_EQ(second.connected, ECONNREFUSED);
}

// Goal: destroying an Io in use ends its connections in order and calls nobody.
TEST(SimWorld, DestroyedIoCallsNobody) {
  Pair pair(9);
  pair.connect();
  const FileId file = *pair.server->open("f", OpenMode::create_new);
  RecordingFile done;
  pair.server->write(file, bytes_of("x"), 0, done);
  pair.server.reset();
  pair.world.run_for(seconds{1});
  EXPECT_TRUE(done.done.empty());
  EXPECT_EQ(pair.client.end, 0);
  EXPECT_EQ(pair.accepted().closed, 0);
}

struct KillingStream final : StreamHandler {
  void on_connected(Errno) noexcept override { world->kill_process(); }
  void on_data(std::span<const std::byte>) noexcept override { ADD_FAILURE(); }
  void on_end(Errno) noexcept override { ADD_FAILURE(); }
  void on_sent(Errno) noexcept override { ADD_FAILURE(); }
  void on_closed() noexcept override { ADD_FAILURE(); }
  SimWorld* world = nullptr;
};

// Goal: a handler may end its own process from inside poll().
TEST(SimWorld, HandlerMayKillItsProcess) {
  Pair pair(10);
  KillingStream killer;
  killer.world = &pair.world;
  const StreamId id = *pair.server->connect(pair.endpoint, killer);
  pair.server->receive_start(id);
  pair.world.run_for(seconds{1});
  EXPECT_TRUE(pair.server->dead());
}

}  // namespace
}  // namespace tocsin::io::test
