#include <cerrno>

#include <gtest/gtest.h>

#include "tests/sim/sim_test_peer.hpp"

namespace tocsin::io::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Goal: bytes travel both ways, in order, and every completion comes from poll().
TEST(SimNetwork, CarriesBytesBothWays) {
  Pair pair(1);
  pair.connect();
  EXPECT_EQ(pair.client.connected, 0);
  pair.peer->send(pair.client.id, bytes_of("hello"));
  EXPECT_TRUE(pair.client.sent.empty());
  pair.server->send(pair.accepted().id, bytes_of("welcome"));
  ASSERT_TRUE(pair.world.run_until(
      [&] { return pair.client.data == "welcome" && pair.accepted().data == "hello"; }));
  EXPECT_EQ(pair.client.sent, std::vector<Errno>{0});
}

// Goal: an orderly close reaches the peer after the data; on_closed is the last call and comes
// once.
TEST(SimNetwork, CloseEndsInOrder) {
  Pair pair(2);
  pair.connect();
  pair.peer->send(pair.client.id, bytes_of("bye"));
  pair.peer->close(pair.client.id);
  pair.peer->close(pair.client.id);
  EXPECT_EQ(pair.client.closed, 0);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.closed, 1);
  EXPECT_TRUE(pair.client.sent.empty()) << "the send was abandoned";
  EXPECT_EQ(pair.accepted().data, "bye");
  EXPECT_EQ(pair.accepted().end, 0);
  pair.server->close(pair.accepted().id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.accepted().closed, 1);
  EXPECT_EQ(pair.world.sockets(), 0U);
}

// Goal: a handle that was closed does nothing, even when its slot has a new owner.
TEST(SimNetwork, StaleHandlesDoNothing) {
  Pair pair(3);
  pair.connect();
  const StreamId stale = pair.client.id;
  pair.peer->close(stale);
  pair.world.run_for(seconds{1});
  RecordingStream second;
  second.id = *pair.peer->connect(pair.endpoint, second);
  EXPECT_EQ(second.id.slot, stale.slot);
  EXPECT_NE(second.id.generation, stale.generation);
  pair.peer->close(stale);
  pair.peer->send(stale, bytes_of("x"));
  pair.peer->receive_start(stale);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(second.connected, 0);
  EXPECT_EQ(second.closed, 0);
}

// Goal: a receiver that stopped is back-pressure: the sender's on_sent waits, nothing is lost.
TEST(SimNetwork, WindowIsBackPressure) {
  Pair pair(4, {.window_bytes = 1000, .segment_bytes = 300});
  pair.acceptor.receive = false;
  pair.connect();
  const std::string big(5000, 'b');
  pair.peer->send(pair.client.id, bytes_of(big));
  pair.world.run_for(seconds{5});
  EXPECT_TRUE(pair.client.sent.empty());
  EXPECT_EQ(pair.accepted().data, "");
  pair.server->receive_start(pair.accepted().id);
  ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().data.size() == big.size(); }));
  EXPECT_EQ(pair.accepted().data, big);
  EXPECT_EQ(pair.client.sent, std::vector<Errno>{0});
}

// Goal: after receive_stop nothing comes, not even the end; receive_start brings it.
TEST(SimNetwork, ReceiveStopHoldsDataAndEnd) {
  Pair pair(5);
  pair.connect();
  pair.server->receive_stop(pair.accepted().id);
  pair.peer->send(pair.client.id, bytes_of("late"));
  pair.world.run_for(seconds{1});
  pair.peer->close(pair.client.id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.accepted().data, "");
  EXPECT_FALSE(pair.accepted().end);
  pair.server->receive_start(pair.accepted().id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.accepted().data, "late");
  EXPECT_EQ(pair.accepted().end, 0);
}

// Goal: short reads split, coalesced reads join, delays reorder nothing; the bytes stay the same.
TEST(SimNetwork, SplitsAndJoinsKeepTheBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair pair(seed, {.delay = 0.3,
                     .short_read = 0.7,
                     .coalesce = 0.3,
                     .data_after_stop = 0.5,
                     .slow_send = 0.3,
                     .segment_bytes = 97});
    pair.connect();
    std::string sent;
    for (int i = 0; i < 20; ++i) {
      const std::string part(static_cast<std::size_t>(i * 13), static_cast<char>('a' + i));
      sent += part;
      const std::size_t before = pair.client.sent.size();
      pair.peer->send(pair.client.id, bytes_of(part));
      ASSERT_TRUE(pair.world.run_until([&] { return pair.client.sent.size() > before; }));
    }
    ASSERT_TRUE(pair.world.run_until([&] { return pair.accepted().data.size() == sent.size(); }));
    EXPECT_EQ(pair.accepted().data, sent) << "seed=" << seed;
  }
}

// Goal: short reads make more deliveries than segments, coalesced reads fewer.
TEST(SimNetwork, SplitsAndJoinsHappen) {
  const std::string text(1000, 'x');
  const auto deliveries = [&](const SimFaults& faults) {
    Pair pair(6, faults);
    pair.connect();
    for (int i = 0; i < 10; ++i) {
      pair.peer->send(pair.client.id, bytes_of(text));
      pair.world.run_for(milliseconds{1});
    }
    pair.world.run_for(seconds{1});
    EXPECT_EQ(pair.accepted().data.size(), 10 * text.size());
    return pair.accepted().deliveries;
  };
  EXPECT_EQ(deliveries({}), 10);
  EXPECT_GT(deliveries({.short_read = 1}), 20);
  EXPECT_LT(deliveries({.coalesce = 1, .coalesce_max = milliseconds{20}}), 8);
}

// Goal: a short read never hands over more than a receive buffer.
TEST(SimNetwork, DeliversAtMostOneBuffer) {
  SimWorld world(7);
  auto io = world.make_io({.receive_buffer_size = 100});
  RecordingAcceptor acceptor;
  acceptor.io = io.get();
  const ListenerId listener = *io->listen(*parse_endpoint("[::1]:0"), false, acceptor);
  RecordingStream client;
  client.id = *io->connect(io->local_endpoint(listener), client);
  world.run_until([&] { return client.connected.has_value(); });
  const std::string text(1000, 'x');
  io->send(client.id, bytes_of(text));
  world.run_for(seconds{1});
  EXPECT_EQ(acceptor.streams.front()->data, text);
  EXPECT_EQ(acceptor.streams.front()->deliveries, 10);
}

// Goal: refusals, by nobody listening, by script and by chance; then only close() follows.
TEST(SimNetwork, RefusesConnections) {
  Pair pair(8);
  RecordingStream nobody;
  nobody.id = *pair.peer->connect(*parse_endpoint("127.0.0.1:9"), nobody);
  pair.world.refuse_connects(1);
  RecordingStream scripted;
  scripted.id = *pair.peer->connect(pair.endpoint, scripted);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(nobody.connected, ECONNREFUSED);
  EXPECT_EQ(scripted.connected, ECONNREFUSED);
  pair.world.faults().connect_refused = 1;
  RecordingStream chance;
  chance.id = *pair.peer->connect(pair.endpoint, chance);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(chance.connected, ECONNREFUSED);
  pair.peer->close(nobody.id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(nobody.closed, 1);
}

// Goal: accept errors are reported, and the connection is accepted after the pause.
TEST(SimNetwork, AcceptErrorsAreTriedAgain) {
  Pair pair(9);
  pair.world.fail_accepts(2, EMFILE);
  const MonoTime began = pair.world.now();
  pair.connect();
  EXPECT_EQ(pair.acceptor.errors, (std::vector<Errno>{EMFILE, EMFILE}));
  EXPECT_GE(pair.world.now() - began, 2 * pair.world.faults().accept_pause);
}

// Goal: a null handler closes the accepted connection at once.
TEST(SimNetwork, NullHandlerCloses) {
  Pair pair(10);
  pair.acceptor.refuse = true;
  pair.client.id = *pair.peer->connect(pair.endpoint, pair.client);
  pair.peer->receive_start(pair.client.id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.connected, 0);
  EXPECT_EQ(pair.client.end, 0);
  EXPECT_EQ(pair.acceptor.last_peer.is_loopback(), true);
}

// Goal: resets, scripted and by chance, reach both ends, fail the send, and break later sends.
TEST(SimNetwork, ResetsBreakBothEnds) {
  Pair pair(11, {.window_bytes = 10});
  pair.acceptor.receive = false;
  pair.connect();
  pair.peer->send(pair.client.id, bytes_of("more than the window takes"));
  pair.world.run_for(seconds{1});
  pair.server->receive_start(pair.accepted().id);
  pair.world.reset(pair.endpoint);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.end, ECONNRESET);
  EXPECT_EQ(pair.accepted().end, ECONNRESET);
  EXPECT_EQ(pair.client.sent, std::vector<Errno>{ECONNRESET});
  pair.peer->send(pair.client.id, bytes_of("again"));
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.sent.back(), EPIPE);
}

TEST(SimNetwork, ResetsByChance) {
  Pair pair(12, {.reset = 1});
  pair.connect();
  pair.peer->send(pair.client.id, bytes_of("x"));
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.end, ECONNRESET);
  EXPECT_EQ(pair.accepted().end, ECONNRESET);
  EXPECT_EQ(pair.accepted().data, "");
}

// Goal: closing with unread bytes resets the peer, as the kernel does; sending to it does too.
TEST(SimNetwork, UnreadBytesMakeCloseAReset) {
  Pair pair(13);
  pair.acceptor.receive = false;
  pair.connect();
  pair.peer->send(pair.client.id, bytes_of("unread"));
  pair.world.run_for(seconds{1});
  pair.server->close(pair.accepted().id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.end, ECONNRESET);
}

// Goal: the peer's half-close leaves our sending direction alone.
TEST(SimNetwork, HalfClosedPeerStillReceives) {
  Pair pair(14);
  pair.connect();
  pair.peer->shut_down(pair.client.id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.accepted().end, 0);
  pair.server->send(pair.accepted().id, bytes_of("answer"));
  pair.server->close(pair.accepted().id);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.client.data, "answer");
  EXPECT_EQ(pair.client.end, 0);
}

// Goal: nothing passes a partition, connects hang in it, and healing loses and reorders nothing.
TEST(SimNetwork, PartitionStallsUntilHealed) {
  Pair pair(15);
  pair.connect();
  pair.world.partition(pair.endpoint);
  pair.peer->send(pair.client.id, bytes_of("one "));
  RecordingStream second;
  second.id = *pair.peer->connect(pair.endpoint, second);
  pair.world.run_for(seconds{60});
  pair.peer->send(pair.client.id, bytes_of("two"));
  pair.world.run_for(seconds{60});
  EXPECT_EQ(pair.accepted().data, "");
  EXPECT_FALSE(second.connected);
  pair.world.heal(pair.endpoint);
  pair.world.run_for(seconds{1});
  EXPECT_EQ(pair.accepted().data, "one two");
  EXPECT_EQ(second.connected, 0);
}

// Goal: one endpoint has one listener unless all share it; a closed listener is free again and its
// handler hears nothing.
TEST(SimNetwork, ListenersShareOnlyOnRequest) {
  Pair pair(16);
  EXPECT_EQ(pair.server->listen(pair.endpoint, true, pair.acceptor).error(), EADDRINUSE);
  pair.client.id = *pair.peer->connect(pair.endpoint, pair.client);
  pair.peer->receive_start(pair.client.id);
  pair.server->close_listener(pair.listener);
  pair.world.run_for(seconds{1});
  EXPECT_TRUE(pair.acceptor.streams.empty());
  EXPECT_EQ(pair.client.connected, ECONNREFUSED);
  const auto first = pair.server->listen(pair.endpoint, true, pair.acceptor);
  const auto second = pair.server->listen(pair.endpoint, true, pair.acceptor);
  EXPECT_TRUE(first && second);
}

// Goal: streams_max bounds both ways in.
TEST(SimNetwork, StreamsAreBounded) {
  SimWorld world(17);
  auto io = world.make_io({.streams_max = 1});
  RecordingAcceptor acceptor;
  acceptor.io = io.get();
  const ListenerId listener = *io->listen(*parse_endpoint("127.0.0.1:0"), false, acceptor);
  RecordingStream client;
  client.id = *io->connect(io->local_endpoint(listener), client);
  EXPECT_EQ(io->connect(io->local_endpoint(listener), client).error(), EMFILE);
  world.run_for(milliseconds{50});
  EXPECT_EQ(acceptor.errors, std::vector<Errno>{EMFILE});
}

}  // namespace
}  // namespace tocsin::io::test
