// The contract of listening, connecting, sending and receiving.

#include <algorithm>
#include <array>
#include <cerrno>

#include "tests/contract/io_contract.hpp"

namespace tocsin::io::contract {

// Goal: both sides learn of a connection, and of each other.
TEST_P(IoContract, AcceptsAConnection) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  EXPECT_TRUE(acceptor_->last_peer.is_loopback());
  EXPECT_NE(acceptor_->last_peer.port, 0);
  EXPECT_EQ(server.connected, 0) << "on_connected is for connect() only";
  close_all({&client, &server});
}

// Goal: completions come from poll() alone.
TEST_P(IoContract, CallsNobodyOutsidePoll) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  io_->receive_start(server.id);
  client.send("x");
  EXPECT_EQ(client.sent, 0);
  ASSERT_TRUE(run_until([&] { return client.sent == 1 && server.received == "x"; }));
  client.close();
  server.close();
  EXPECT_EQ(client.closed, 0);
  EXPECT_EQ(server.closed, 0);
  ASSERT_TRUE(run_until([&] { return client.closed == 1 && server.closed == 1; }));
}

// Goal: every byte arrives once and in order, in both directions, whatever the size.
TEST_P(IoContract, EchoesAllSizes) {
  listen();
  acceptor_->when_accepted = [](Peer& peer) { peer.echo(); };
  Peer client(*io_);
  Peer& server = connect(client);
  io_->receive_start(client.id);
  const std::array<std::size_t, 9> sizes{1, 2, 63, 1024, 16383, 16384, 16385, 100'000, 1U << 20U};
  int sends = 0;
  for (const std::size_t size : sizes) {
    const std::string text = pattern(size);
    client.received.clear();
    client.send(text);
    ++sends;
    ASSERT_TRUE(run_until([&] { return client.received.size() >= size && client.sent == sends; }))
        << size << ": " << client.received.size();
    EXPECT_EQ(client.send_error, 0);
    EXPECT_TRUE(client.received == text) << size;
  }
  close_all({&client});
  ASSERT_TRUE(run_until([&] { return server.closed == 1; }));
  EXPECT_EQ(server.end_error, 0);
}

// Goal: a span of nothing is sent at once, and the stream goes on.
TEST_P(IoContract, SendsAnEmptySpan) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  client.send("");
  ASSERT_TRUE(run_until([&] { return client.sent == 1; }));
  EXPECT_EQ(client.send_error, 0);
  close_all({&client, &server});
}

// Goal: stopping and starting receiving loses and reorders nothing.
// Method: 8 MiB in one send; the receiver stops after every chunk and starts again a turn later.
TEST_P(IoContract, StopsAndStartsReceiving) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  const std::string text = pattern(8U << 20U);
  bool stopped = false;
  server.when_data = [&](std::span<const std::byte>) {
    io_->receive_stop(server.id);
    stopped = true;
  };
  io_->receive_start(server.id);
  client.send(text);
  ASSERT_TRUE(run_until([&] {
    if (std::exchange(stopped, false)) io_->receive_start(server.id);
    return server.received.size() >= text.size() && client.sent == 1;
  })) << server.received.size();
  EXPECT_TRUE(server.received == text);
  close_all({&client, &server});
}

// Goal: a receiver that stops holds the sender back: an unread connection takes no memory of ours.
TEST_P(IoContract, StoppedReceiverHoldsTheSenderBack) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  client.send(pattern(64U << 20U));
  settle();
  EXPECT_EQ(client.sent, 0);
  EXPECT_TRUE(server.received.empty());
  io_->receive_start(server.id);
  ASSERT_TRUE(run_until([&] { return server.received.size() == client.outgoing.size(); }));
  EXPECT_TRUE(server.received == client.outgoing);
  close_all({&client, &server});
}

// Goal: starting and stopping twice does no more than once.
TEST_P(IoContract, StartAndStopAreIdempotent) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  io_->receive_start(server.id);
  io_->receive_start(server.id);
  io_->receive_stop(server.id);
  io_->receive_stop(server.id);
  io_->receive_start(server.id);
  client.send("once");
  ASSERT_TRUE(run_until([&] { return server.received.size() >= 4; }));
  settle();
  EXPECT_EQ(server.received, "once");
  close_all({&client, &server});
}

// Goal: parsers may load 64 bytes beyond the data.
// Method: reads them; under a sanitizer, or at the end of a mapping, a missing byte ends the test.
TEST_P(IoContract, PadsReceivedData) {
  restart({.receive_buffers = 2, .receive_buffer_size = 4096, .streams_max = 8});
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  unsigned sum = 0;
  server.when_data = [&](std::span<const std::byte> bytes) {
    const volatile std::byte* const end = bytes.data() + bytes.size();
    for (int i = 0; i < 64; ++i) sum += std::to_integer<unsigned>(end[i]);
  };
  io_->receive_start(server.id);
  client.send(pattern(100'000));
  ASSERT_TRUE(run_until([&] { return server.received.size() == client.outgoing.size(); }));
  EXPECT_TRUE(server.received == client.outgoing) << "few buffers must not lose data";
  close_all({&client, &server});
}

// Goal: an orderly end is told once, after all data.
TEST_P(IoContract, TellsTheEnd) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  client.send(pattern(300'000));
  io_->receive_start(server.id);
  client.when_sent = [&] { client.close(); };
  ASSERT_TRUE(run_until([&] { return server.ended == 1 && client.closed == 1; }));
  EXPECT_EQ(server.end_error, 0);
  EXPECT_TRUE(server.received == client.outgoing);
  io_->receive_start(server.id);
  settle();
  EXPECT_EQ(server.ended, 1);
  close_all({&server});
}

// Goal: nobody listens: on_connected tells an error, and close() works.
TEST_P(IoContract, ConnectRefused) {
  listen();
  io_->close_listener(listener_);
  settle();
  Peer client(*io_);
  client.id = *io_->connect(endpoint_, client);
  ASSERT_TRUE(run_until([&] { return client.connected == 1; }));
  EXPECT_EQ(client.connect_error, ECONNREFUSED);
  close_all({&client});
}

// Goal: giving up before the connection stands.
TEST_P(IoContract, ClosesWhileConnecting) {
  listen();
  Peer client(*io_);
  client.id = *io_->connect(endpoint_, client);
  client.close();
  ASSERT_TRUE(run_until([&] { return client.closed == 1; }));
  EXPECT_EQ(client.connected, 0);
}

// Goal: an unfinished send ends with close(), and its memory is free after on_closed.
// Method: the receiver does not read, so that the send cannot finish.
TEST_P(IoContract, ClosesWithASendInFlight) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  client.send(pattern(64U << 20U));
  settle();
  ASSERT_EQ(client.sent, 0);
  client.close();
  ASSERT_TRUE(run_until([&] { return client.closed == 1; }));
  EXPECT_EQ(client.sent, 0);
  client.outgoing.assign(client.outgoing.size(), '!');
  close_all({&server});
}

// Goal: a peer that goes away with our bytes unread shows as an end, and sending then fails.
TEST_P(IoContract, PeerGoesAwayWithUnreadData) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  io_->receive_start(client.id);
  client.send(pattern(1000));
  ASSERT_TRUE(run_until([&] { return client.sent == 1; }));
  server.close();
  ASSERT_TRUE(run_until([&] { return client.ended == 1 && server.closed == 1; }));
  EXPECT_TRUE(client.end_error == 0 || client.end_error == ECONNRESET) << client.end_error;
  int sends = 1;
  ASSERT_TRUE(run_until([&] {
    if (client.send_error != 0) return true;
    if (client.sent == sends) {
      client.send(pattern(100'000));
      ++sends;
    }
    return false;
  }));
  EXPECT_TRUE(client.send_error == EPIPE || client.send_error == ECONNRESET) << client.send_error;
  close_all({&client});
}

// Goal: close() may be called from inside each callback; on_closed comes once and last.
TEST_P(IoContract, ClosesInsideEachCallback) {
  listen();
  Peer in_connected(*io_);
  in_connected.when_connected = [&] { in_connected.close(); };
  in_connected.id = *io_->connect(endpoint_, in_connected);
  ASSERT_TRUE(run_until([&] { return in_connected.closed == 1 && !acceptor_->peers.empty(); }));

  Peer in_data(*io_);
  Peer& sender = connect(in_data);
  in_data.when_data = [&](std::span<const std::byte>) { in_data.close(); };
  io_->receive_start(in_data.id);
  sender.send(pattern(1U << 20U));
  ASSERT_TRUE(run_until([&] { return in_data.closed == 1; }));
  EXPECT_LT(in_data.received.size(), 1U << 20U) << "no data after close()";

  Peer in_sent(*io_);
  connect(in_sent);
  in_sent.when_sent = [&] { in_sent.close(); };
  in_sent.send("bye");
  ASSERT_TRUE(run_until([&] { return in_sent.closed == 1; }));

  Peer in_end(*io_);
  Peer& leaver = connect(in_end);
  in_end.when_ended = [&] { in_end.close(); };
  io_->receive_start(in_end.id);
  leaver.close();
  ASSERT_TRUE(run_until([&] { return in_end.closed == 1 && leaver.closed == 1; }));
}

// Goal: on_closed may start the next connection and close others.
TEST_P(IoContract, ActsInsideOnClosed) {
  listen();
  Peer first(*io_);
  Peer second(*io_);
  Peer third(*io_);
  connect(first);
  connect(second);
  first.when_closed = [&] {
    second.close();
    third.id = *io_->connect(endpoint_, third);
  };
  first.close();
  ASSERT_TRUE(run_until([&] { return second.closed == 1 && third.connected == 1; }));
  EXPECT_EQ(third.connect_error, 0);
  close_all({&third});
}

// Goal: an accepted connection may be closed or refused inside on_accept.
TEST_P(IoContract, ClosesOrRefusesInsideOnAccept) {
  listen();
  acceptor_->when_accepted = [&](Peer& peer) { peer.close(); };
  Peer closed(*io_);
  Peer& server = connect(closed);
  io_->receive_start(closed.id);
  ASSERT_TRUE(run_until([&] { return server.closed == 1 && closed.ended == 1; }));
  acceptor_->refuse = true;
  Peer refused(*io_);
  refused.id = *io_->connect(endpoint_, refused);
  io_->receive_start(refused.id);
  ASSERT_TRUE(run_until([&] { return refused.ended == 1; }));
  close_all({&closed, &refused});
}

// Goal: a handle of the past reaches nobody, also when its slot lives again.
TEST_P(IoContract, IgnoresStaleHandles) {
  listen();
  Peer old(*io_);
  Peer& old_server = connect(old);
  close_all({&old, &old_server});
  Peer young(*io_);
  Peer& server = connect(young);
  io_->receive_start(server.id);
  for (const StreamId stale : {old.id, old_server.id, StreamId{}}) {
    io_->receive_start(stale);
    io_->receive_stop(stale);
    io_->send(stale, bytes_of("stale"));
    io_->close(stale);
  }
  young.send("fresh");
  ASSERT_TRUE(run_until([&] { return server.received.size() >= 5; }));
  settle();
  EXPECT_EQ(server.received, "fresh");
  EXPECT_EQ(young.closed + server.closed, 0);
  EXPECT_EQ(old.sent, 0);
  close_all({&young, &server});
}

// Goal: a closed listener accepts no more, its connections live on, and its endpoint is free.
TEST_P(IoContract, ClosesAListener) {
  listen();
  Peer client(*io_);
  Peer& server = connect(client);
  io_->close_listener(listener_);
  settle();
  io_->receive_start(server.id);
  client.send("still here");
  ASSERT_TRUE(run_until([&] { return server.received == "still here"; }));
  close_all({&client, &server});
  const auto again = io_->listen(endpoint_, false, *acceptor_);
  ASSERT_TRUE(again);
  Peer next(*io_);
  connect(next);
  close_all({&next, &acceptor_->peers.back()});
}

// Goal: a port in use is an error at listen().
TEST_P(IoContract, ListenTellsAPortInUse) {
  listen();
  const auto second = io_->listen(endpoint_, false, *acceptor_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), EADDRINUSE);
}

// Goal: beyond streams_max a connection is turned away and told, and the others go on.
TEST_P(IoContract, TurnsAwayBeyondStreamsMax) {
  restart({.receive_buffers = 8, .receive_buffer_size = 4096, .streams_max = 3});
  listen();
  Peer first(*io_);
  Peer& first_server = connect(first);
  Peer second(*io_);
  second.id = *io_->connect(endpoint_, second);
  io_->receive_start(second.id);
  ASSERT_TRUE(run_until([&] { return second.ended == 1 && !acceptor_->errors.empty(); }));
  Peer third(*io_);
  EXPECT_FALSE(io_->connect(endpoint_, third));
  close_all({&second});
  io_->receive_start(first_server.id);
  first.send("ok");
  ASSERT_TRUE(run_until([&] { return first_server.received == "ok"; }));
  close_all({&first, &first_server});
}

// Goal: many connections at once, each with its own data, with few receive buffers.
TEST_P(IoContract, CarriesManyStreams) {
  constexpr std::size_t count = 500;
  restart({.receive_buffers = 16, .receive_buffer_size = 4096, .streams_max = 2 * count});
  listen();
  acceptor_->when_accepted = [](Peer& peer) { peer.echo(); };
  std::deque<Peer> clients;
  for (std::size_t i = 0; i < count; ++i) {
    Peer& client = clients.emplace_back(*io_);
    client.when_connected = [&client, i] { client.send(pattern(20'000) + std::to_string(i)); };
    client.when_data = [&client](std::span<const std::byte>) {
      if (client.received.size() == client.outgoing.size()) client.close();
    };
    client.id = *io_->connect(endpoint_, client);
    io_->receive_start(client.id);
  }
  const auto closed = [](const Peer& peer) { return peer.closed == 1; };
  ASSERT_TRUE(run_until([&] {
    return acceptor_->peers.size() == count &&
           std::all_of(clients.begin(), clients.end(), closed) &&
           std::all_of(acceptor_->peers.begin(), acceptor_->peers.end(), closed);
  }));
  for (const Peer& client : clients) EXPECT_TRUE(client.received == client.outgoing);
}

}  // namespace tocsin::io::contract
