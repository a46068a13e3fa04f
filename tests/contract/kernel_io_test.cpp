// What concerns real sockets and files, on every backend that has them.

#include <dirent.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include "io/posix/sockets.hpp"
#include "tests/contract/io_contract_kernel.hpp"

namespace tocsin::io {
namespace {

using contract::Acceptor;
using contract::bytes_of;
using contract::Peer;

class KernelIo : public testing::TestWithParam<contract::IoFactory> {
 protected:
  void SetUp() override {
    io_ = GetParam().make({});
    ASSERT_NE(io_, nullptr);
    acceptor_ = std::make_unique<Acceptor>(*io_);
    listener_ = *io_->listen(*parse_endpoint("127.0.0.1:0"), false, *acceptor_);
  }
  bool run_until(const std::function<bool()>& done) {
    const MonoTime limit = io_->now() + std::chrono::seconds{30};
    while (!done() && io_->now() < limit) io_->poll(limit);
    return done();
  }
  /// A plain blocking socket, connected to the listener.
  UniqueFd raw_client() {
    UniqueFd fd{std::move(*posix::open_stream(Endpoint::Family::v4))};
    sockaddr_storage address;
    const socklen_t length = posix::to_sockaddr(io_->local_endpoint(listener_), address);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    return fd;
  }

  std::unique_ptr<Io> io_;
  std::unique_ptr<Acceptor> acceptor_;
  ListenerId listener_;
};

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

// Goal: after the peer's half-close we can still answer (HTTP clients do this).
TEST_P(KernelIo, SendsAfterTheOrderlyEnd) {
  acceptor_->when_accepted = [&](Peer& peer) { io_->receive_start(peer.id); };
  const UniqueFd client = raw_client();
  ASSERT_EQ(::send(client.get(), "ask", 3, 0), 3);
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  ASSERT_TRUE(run_until([&] { return !acceptor_->peers.empty() && acceptor_->peers[0].ended; }));
  Peer& server = acceptor_->peers[0];
  EXPECT_EQ(server.received, "ask");
  EXPECT_EQ(server.end_error, 0);
  server.when_sent = [&] { server.close(); };
  server.send("answer");
  ASSERT_TRUE(run_until([&] { return server.closed == 1; }));
  std::array<char, 16> answer{};
  EXPECT_EQ(::recv(client.get(), answer.data(), answer.size(), 0), 6);
  EXPECT_EQ(::recv(client.get(), answer.data(), answer.size(), 0), 0);
}

// Goal: in a flood who stops gets no more than one buffer, so that hardly anything must be kept.
// Method: much more than all buffers hold waits in the socket; a multishot may fill them once.
TEST_P(KernelIo, StopsAFloodAfterOneBuffer) {
  constexpr std::size_t buffer_size = 4096;
  constexpr int rounds = 20;
  acceptor_.reset();
  io_ = GetParam().make({.receive_buffers = 4, .receive_buffer_size = buffer_size});
  ASSERT_NE(io_, nullptr);
  acceptor_ = std::make_unique<Acceptor>(*io_);
  listener_ = *io_->listen(*parse_endpoint("127.0.0.1:0"), false, *acceptor_);
  const UniqueFd client = raw_client();
  ASSERT_TRUE(run_until([&] { return !acceptor_->peers.empty(); }));
  const std::string text((rounds + 8) * buffer_size, 'x');
  ASSERT_EQ(::send(client.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  Peer& server = acceptor_->peers[0];
  server.when_data = [&](std::span<const std::byte>) { io_->receive_stop(server.id); };
  for (int round = 0; round <= rounds; ++round) {
    const std::size_t before = server.received.size();
    io_->receive_start(server.id);
    ASSERT_TRUE(run_until([&] { return server.received.size() > before; }));
    // Whatever was on its way when it stopped.
    for (int turn = 0; turn < 3; ++turn) io_->poll(io_->now());
    if (round == 0) continue;
    EXPECT_LE(server.received.size() - before, buffer_size) << round;
  }
  server.close();
  ASSERT_TRUE(run_until([&] { return server.closed == 1; }));
}

// Goal: a reset is an error, not an orderly end.
TEST_P(KernelIo, TellsAReset) {
  acceptor_->when_accepted = [&](Peer& peer) { io_->receive_start(peer.id); };
  UniqueFd client = raw_client();
  ASSERT_TRUE(run_until([&] { return !acceptor_->peers.empty(); }));
  const linger now{1, 0};
  ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  client.reset();
  Peer& server = acceptor_->peers[0];
  ASSERT_TRUE(run_until([&] { return server.ended == 1; }));
  EXPECT_EQ(server.end_error, ECONNRESET);
  server.close();
  ASSERT_TRUE(run_until([&] { return server.closed == 1; }));
}

// Goal: out of descriptors, accepting reports it, rests, and goes on when there are some again.
TEST_P(KernelIo, SurvivesRunningOutOfDescriptors) {
  const UniqueFd client{std::move(*posix::open_stream(Endpoint::Family::v4))};
  sockaddr_storage address;
  const socklen_t length = posix::to_sockaddr(io_->local_endpoint(listener_), address);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  const bool told = run_until([&] { return acceptor_->errors.size() == 2; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(told);
  EXPECT_EQ(acceptor_->errors[0], EMFILE);
  EXPECT_TRUE(acceptor_->peers.empty());
  ASSERT_TRUE(run_until([&] { return acceptor_->peers.size() == 1; }));
}

// Goal: closing a listener during the rest after an error ends the rest too.
TEST_P(KernelIo, ClosesAListenerAtRest) {
  const UniqueFd client = raw_client();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool told = run_until([&] { return acceptor_->errors.size() == 1; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(told);
  io_->close_listener(listener_);
  const MonoTime later = io_->now() + std::chrono::milliseconds{150};
  while (io_->now() < later) io_->poll(later);
  EXPECT_TRUE(acceptor_->peers.empty());
}

// Goal: a full stream table is told once a rest, not once a connection, and accepting goes on.
TEST_P(KernelIo, RestsWhenThereAreNoStreams) {
  acceptor_.reset();
  io_ = GetParam().make({.streams_max = 1});
  ASSERT_NE(io_, nullptr);
  acceptor_ = std::make_unique<Acceptor>(*io_);
  listener_ = *io_->listen(*parse_endpoint("127.0.0.1:0"), false, *acceptor_);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(raw_client());
  ASSERT_TRUE(run_until([&] { return !acceptor_->errors.empty(); }));
  EXPECT_EQ(acceptor_->errors, std::vector<Errno>{ENOBUFS});
  ASSERT_EQ(acceptor_->peers.size(), 1U);
  acceptor_->peers.front().close();
  clients.clear();
  clients.push_back(raw_client());
  ASSERT_TRUE(run_until([&] {
    if (acceptor_->peers.size() > 1 && acceptor_->peers.back().closed == 0) {
      acceptor_->peers.back().close();
    }
    return acceptor_->peers.size() > 1 && acceptor_->peers.back().closed == 1;
  }));
}

// Goal: an Io that was prepared on one thread works on another.
TEST_P(KernelIo, IsUsedByTheThreadThatPolls) {
  std::thread owner([&] {
    Peer client(*io_);
    client.id = *io_->connect(io_->local_endpoint(listener_), client);
    EXPECT_TRUE(run_until([&] { return client.connected == 1; }));
    EXPECT_EQ(client.connect_error, 0);
    client.close();
    EXPECT_TRUE(run_until([&] { return client.closed == 1; }));
  });
  owner.join();
  EXPECT_EQ(acceptor_->peers.size(), 1U);
}

// Goal: destroying an Io in the middle of everything leaks no descriptor and calls nobody.
TEST_P(KernelIo, DestroysWithOperationsInFlight) {
  io_.reset();
  const std::size_t before = open_descriptors();
  SetUp();
  Peer client(*io_);
  client.id = *io_->connect(io_->local_endpoint(listener_), client);
  ASSERT_TRUE(run_until([&] { return !acceptor_->peers.empty() && client.connected == 1; }));
  io_->receive_start(client.id);
  client.send(contract::pattern(64U << 20U));
  io_->poll(MonoTime::min());
  const UniqueFd waiting = raw_client();
  Peer never_submitted(*io_);
  never_submitted.id = *io_->connect(io_->local_endpoint(listener_), never_submitted);
  const std::size_t sent = static_cast<std::size_t>(client.sent);
  io_.reset();
  EXPECT_EQ(static_cast<std::size_t>(client.sent), sent);
  EXPECT_EQ(client.closed + never_submitted.closed + never_submitted.connected, 0);
  EXPECT_EQ(open_descriptors(), before + 1) << "all but the plain client's";
}

// Goal: two Ios can share one port.
TEST_P(KernelIo, SharesAPort) {
  const auto first = io_->listen(*parse_endpoint("127.0.0.1:0"), true, *acceptor_);
  ASSERT_TRUE(first);
  const Endpoint endpoint = io_->local_endpoint(*first);
  const auto other = GetParam().make({});
  ASSERT_NE(other, nullptr);
  EXPECT_TRUE(other->listen(endpoint, true, *acceptor_));
}

// Goal: IPv6 endpoints work like IPv4 ones.
TEST_P(KernelIo, ListensOnIpv6) {
  const auto listener = io_->listen(*parse_endpoint("[::1]:0"), false, *acceptor_);
  if (!listener) GTEST_SKIP() << "no IPv6 here";
  Peer client(*io_);
  client.id = *io_->connect(io_->local_endpoint(*listener), client);
  ASSERT_TRUE(run_until([&] { return client.connected == 1 && !acceptor_->peers.empty(); }));
  EXPECT_EQ(client.connect_error, 0);
  EXPECT_EQ(acceptor_->last_peer.family, Endpoint::Family::v6);
}

// While it lives, no file grows beyond so many bytes: the kernel writes short first, then refuses.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit small = before_;
    small.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() { EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0); }

 private:
  rlimit before_{};
};

class ShortWrites : public KernelIo {
 protected:
  // `begin` starts a write, with its sync, of this text to a file that takes 10,000 bytes of it.
  template <class Begin>
  void expect_refusal(Begin&& begin) {
    std::string path = testing::TempDir() + "/tocsin-short-XXXXXX";
    const UniqueFd created{::mkstemp(path.data())};
    const auto file = io_->open(path, OpenMode::write_existing);
    ASSERT_TRUE(file);
    contract::FileDone done;
    bool finished = false;
    {
      const FileSizeLimit limit(10'000);
      begin(*file, done);
      finished = run_until([&] { return done.count == 1; });
    }
    ASSERT_TRUE(finished);
    EXPECT_EQ(done.error, EFBIG);
    EXPECT_EQ(io_->size(*file).value(), 10'000U);
    io_->close_file(*file);
    ASSERT_TRUE(io_->remove(path));
  }
  const std::string text_ = contract::pattern(50'000);
};

// Goal: a full disk or a file-size limit is told, also when part of the bytes fitted.
TEST_P(ShortWrites, AreNotReportedAsSynced) {
  expect_refusal(
      [&](FileId file, FileHandler& done) { io_->write_and_sync(file, bytes_of(text_), 0, done); });
}

// Goal: the same for pieces, wherever the kernel stops: at the end of one, or within.
TEST_P(ShortWrites, OfPiecesAreNotReportedAsSynced) {
  for (const std::size_t size : {2500U, 3000U}) {
    std::vector<Piece> pieces;
    for (std::size_t at = 0; at < text_.size(); at += size) {
      pieces.push_back({bytes_of(text_).data() + at, std::min(size, text_.size() - at)});
    }
    expect_refusal(
        [&](FileId file, FileHandler& done) { io_->gather_and_sync(file, pieces, 0, done); });
  }
}

// Goal: where direct writes do not work, all that are in flight go through the page cache. Method:
// the kernel refuses them at unaligned offsets.
TEST_P(KernelIo, WritesInFlightFallBackTogether) {
  std::string path = testing::TempDir() + "/tocsin-direct-XXXXXX";
  const UniqueFd created{::mkstemp(path.data())};
  const auto file = io_->open(path, OpenMode::write_existing);
  ASSERT_TRUE(file);
  io_->write_directly(*file);
  const std::string text = contract::pattern(4000);
  const Piece piece{bytes_of(text).data(), text.size()};
  std::array<contract::FileDone, 4> done;
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (i % 2 == 0) {
      io_->write_and_sync(*file, bytes_of(text), i * text.size(), done[i]);
    } else {
      io_->gather_and_sync(*file, {&piece, 1}, i * text.size(), done[i]);
    }
  }
  ASSERT_TRUE(run_until(
      [&] { return std::ranges::all_of(done, [](const auto& d) { return d.count == 1; }); }));
  for (const auto& one : done) EXPECT_EQ(one.error, 0);
  EXPECT_EQ(io_->size(*file).value(), done.size() * text.size());
  io_->close_file(*file);
  ASSERT_TRUE(io_->remove(path));
}

// Goal: accepted connections answer without Nagle's delay: they inherit the listener's option.
TEST(PosixSockets, AcceptedSocketsInheritNoDelay) {
  const auto listener = posix::open_listener(*parse_endpoint("127.0.0.1:0"), false);
  ASSERT_TRUE(listener);
  const UniqueFd client{std::move(*posix::open_stream(Endpoint::Family::v4))};
  sockaddr_storage address;
  const socklen_t length = posix::to_sockaddr(*posix::local_endpoint((*listener).get()), address);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  const UniqueFd accepted{::accept((*listener).get(), nullptr, nullptr)};
  for (const int fd : {client.get(), accepted.get()}) {
    int on = 0;
    socklen_t size = sizeof on;
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    EXPECT_EQ(on, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernel, KernelIo, testing::ValuesIn(contract::kernel_factories()),
                         contract::factory_name);
INSTANTIATE_TEST_SUITE_P(Kernel, ShortWrites, testing::ValuesIn(contract::kernel_factories()),
                         contract::factory_name);

}  // namespace
}  // namespace tocsin::io
