// Ending in order: first what comes in, then what is on its way, then what is remembered.

#include <algorithm>

#include "app/parts.hpp"

namespace tocsin::app {
namespace {

// What clients get to read their last answers, out of the whole deadline.
constexpr int ingress_share = 2;

}  // namespace

bool Engine::Parts::drain_ingress(MonoTime deadline) {
  bool ended = true;
  for (Reactor& reactor : reactors) {
    threads.call(*reactor.loop, [&] {
      for (const auto& subscription : reactor.subscriptions) subscription->close();
      if (reactor.tls != nullptr) reactor.tls->drain();
      reactor.http->drain();
      reactor.mqtt->drain();
    });
  }
  for (Reactor& reactor : reactors) {
    const auto closed = [&] {
      return reactor.http->drained() && reactor.mqtt->closed() &&
             (reactor.tls == nullptr || reactor.tls->closed());
    };
    if (threads.wait_until(*reactor.loop, closed, deadline)) continue;
    // A client that does not read its answer does not hold up the others' events.
    threads.call(*reactor.loop, [&] {
      reactor.http->close_all();
      reactor.mqtt->close_now();
    });
    // What still hashes has an end soon; a queue of it might outlast the deadline.
    auth->drop_waiting();
    ended = threads.wait_until(*reactor.loop, closed, deadline + std::chrono::seconds(1)) && ended;
  }
  for (Reactor& reactor : reactors) {
    const auto subscriptions_closed = [&] {
      return std::ranges::all_of(reactor.subscriptions, [](const auto& s) { return s->closed(); });
    };
    ended = threads.wait_until(*reactor.loop, subscriptions_closed, deadline) && ended;
    threads.call(*reactor.loop, [&] { reactor.decode->drain(); });
  }
  // Nobody waits for an answer any more, and the loops still take those that are on their way.
  auth->stop();
  return ended;
}

bool Engine::Parts::drain_rest(MonoTime deadline) {
  bool ended = true;
  for (Reactor& reactor : reactors) {
    ended = threads.wait_until(
                *reactor.loop, [&] { return reactor.decode->idle(); }, deadline) &&
            ended;
  }
  const bool journal_drained = threads.wait_until(
      *journal_loop, [&] { return journal->drained(); }, deadline);
  ended = journal_drained && ended;
  // Asked twice, in different turns: between threads the question may overtake the last batch once.
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < workers.size(); ++i) {
      const auto idle = [&] { return workers[i]->idle(); };
      ended = threads.wait_until(*worker_loops[i], idle, deadline) && ended;
    }
  }
  for (Reactor& reactor : reactors) {
    threads.call(*reactor.loop, [&] { reactor.deliver->drain(deadline); });
  }
  // Deliver keeps the deadline itself; the second more is for its channels to close.
  const MonoTime last = deadline + std::chrono::seconds(1);
  for (Reactor& reactor : reactors) {
    ended = threads.wait_until(
                *reactor.loop, [&] { return reactor.deliver->drained(); }, last) &&
            ended;
  }
  if (database != nullptr) {
    // What it makes durable now, the ledger need not bring back.
    const MonoTime now = journal_loop->io().now();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(last - now);
    ended = database->stop(std::max(left, std::chrono::milliseconds{0})) && ended;
  }
  ended = threads.wait_until(
              *journal_loop, [&] { return ledger->drain(); }, last) &&
          ended;
  const auto close_journal = [&] { return journal->close(); };
  return journal_drained && threads.wait_until(*journal_loop, close_journal, last) && ended;
}

bool Engine::Parts::drain(Duration timeout) {
  if (!started) return true;
  draining = true;
  const MonoTime now = reactors.front().loop->io().now();
  // What is still being read back from the journal is read again at the next start.
  threads.call(*journal_loop, [&] { journal->stop_replay(); });
  const bool ingress_ended = drain_ingress(now + timeout / ingress_share);
  const bool ended = drain_rest(now + timeout) && ingress_ended;
  threads.stop();
  quiet = ended;
  return ended;
}

}  // namespace tocsin::app
