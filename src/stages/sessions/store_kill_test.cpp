// Goal: kill -9 at any moment loses nothing that was acknowledged, and what is found is whole.
// Method: a child process changes sessions and writes a line for every change once it is durable;
// it is killed after a random number of lines, and its successor goes on with the same file.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "base/unique_fd.hpp"
#include "stages/sessions/store_fixture_test.hpp"

namespace tocsin::sessions {
namespace {

constexpr int clients = 5;

std::string name_of(std::uint64_t client) { return "client-" + std::to_string(client); }
std::string text_of(std::uint64_t client, std::uint64_t ordinal) {
  return std::to_string(client) + "/" + std::to_string(ordinal) +
         std::string(50 + static_cast<std::size_t>(ordinal % 400), 'x');
}

// The child: stores until it is killed. Each line is one write to a pipe, so it is whole.
class Storing final : public flow::Receiver {
 public:
  Storing(StoreSettings settings, int fd)
      : store_(std::move(settings), make_null_log()), out_(fd) {}

  [[noreturn]] void run(std::uint64_t first, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    if (!store_.load([](auto&&) {}, [](auto&&) {})) ::_exit(2);
    store_.start();
    for (std::uint64_t c = 0; c < clients; ++c) {
      if (!store_.put_session(make_session(name_of(c)))) ::_exit(3);
    }
    for (std::uint64_t ordinal = first;; ++ordinal) {
      const std::uint64_t client = random() % clients;
      auto& message = messages_[ordinal];
      message.client = client;
      message.range.outstanding = 1;
      message.range.first_sequence = ordinal;
      message.range.ledger = this;
      message.range.ledger_loop = &loop_;
      if (!store_.put_message(name_of(client), ordinal, text_of(client, ordinal), &message.range)) {
        ::_exit(4);
      }
      if (random() % 50 == 0) remove_one(client, ordinal);
      loop_.turn(MonoTime::min());
      // As fast as commits go, and no faster.
      while (messages_.size() > 100) loop_.turn(loop_.io().now() + std::chrono::milliseconds{5});
    }
  }

  void on_message(const flow::Message& message) noexcept override {
    const auto& range = *static_cast<const flow::SettlementRange*>(message.object);
    const auto at = messages_.find(range.first_sequence);
    if (!at->second.removed) say('M', at->second.client, at->first);
    messages_.erase(at);
  }

 private:
  struct Message {
    std::uint64_t client = 0;
    bool removed = false;
    flow::SettlementRange range;
  };
  void remove_one(std::uint64_t client, std::uint64_t ordinal) {
    messages_[ordinal].removed = true;
    if (!store_.remove_message(name_of(client), ordinal)) ::_exit(5);
    if (!store_.flush(patience)) ::_exit(6);
    say('R', client, ordinal);
  }
  void say(char what, std::uint64_t client, std::uint64_t ordinal) {
    std::array<char, 64> line{};
    const int size = std::snprintf(line.data(), line.size(), "%c %llu %llu\n", what,
                                   static_cast<unsigned long long>(client),
                                   static_cast<unsigned long long>(ordinal));
    if (::write(out_, line.data(), static_cast<std::size_t>(size)) != size) ::_exit(7);
  }

  testing::FakeIo io_{testing::FakeIo::Time::real};
  flow::Loop loop_{io_, "ledger"};
  std::map<std::uint64_t, Message> messages_;
  SqliteSessionStore store_;
  int out_;
};

class StoreKill : public StoreFixture {
 protected:
  /// The lines of a child that was killed after about so many.
  std::string run_and_kill(std::uint64_t first, std::uint64_t seed, std::size_t lines) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return {};
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) std::make_unique<Storing>(settings(), writer.get())->run(first, seed);
    writer.reset();
    std::string text;
    std::array<char, 4096> buffer{};
    bool killed = false;
    for (;;) {
      const ssize_t n = ::read(reader.get(), buffer.data(), buffer.size());
      if (n <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(n));
      if (!killed && std::count(text.begin(), text.end(), '\n') >= static_cast<long>(lines)) {
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    return text;
  }
};

TEST_F(StoreKill, WhatWasAcknowledgedIsThere) {
  std::mt19937_64 random(11);
  std::map<std::uint64_t, std::uint64_t> acknowledged;  // Ordinal to client.
  std::map<std::uint64_t, bool> removed;
  for (std::uint64_t round = 0; round < 30; ++round) {
    SCOPED_TRACE(round);
    const std::uint64_t first = 1 + round * 1'000'000;
    const auto lines = static_cast<std::size_t>(1 + random() % 300);
    const std::string text = run_and_kill(first, random(), lines);
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      char what = 0;
      unsigned long long client = 0;
      unsigned long long ordinal = 0;
      ASSERT_EQ(std::sscanf(text.c_str() + begin, "%c %llu %llu", &what, &client, &ordinal), 3);
      if (what == 'M') acknowledged[ordinal] = client;
      if (what == 'R') removed[ordinal] = true;
    }
    const Loaded loaded = start();
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(metric("tocsin_store_damaged_files_total"), 0);
    EXPECT_EQ(loaded.order.size(), static_cast<std::size_t>(clients));
    std::size_t found = 0;
    for (std::uint64_t c = 0; c < clients; ++c) {
      for (const auto& message : loaded.sessions.at(name_of(c)).messages) {
        ASSERT_EQ(message.bytes, text_of(c, message.ordinal));
        EXPECT_FALSE(removed.contains(message.ordinal)) << message.ordinal << " came back";
        const auto at = acknowledged.find(message.ordinal);
        if (at == acknowledged.end()) continue;
        EXPECT_EQ(at->second, c);
        ++found;
      }
    }
    ASSERT_EQ(found, acknowledged.size());
    store.reset();
  }
  EXPECT_GT(acknowledged.size(), 1000U);
  EXPECT_GT(removed.size(), 10U);
}

}  // namespace
}  // namespace tocsin::sessions
