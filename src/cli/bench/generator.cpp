#include "cli/bench/generator.hpp"

#include <algorithm>

#include "cli/bench/demand.hpp"
#include "cli/bench/http_sender.hpp"
#include "cli/bench/mqtt_sender.hpp"

namespace tocsin::cli::bench {
namespace {

// How often the states are looked at in which nothing is measured.
constexpr Duration look = std::chrono::milliseconds(1);
constexpr std::uint64_t sequences_per_thread = 100'000'000;

/// One thread's part of `whole`; the parts add up.
std::uint64_t share(std::uint64_t whole, std::uint32_t parts, std::uint32_t part) {
  return whole / parts + (part < whole % parts ? 1 : 0);
}

}  // namespace

Generator::Generator(io::Io& io, const Plan& plan, std::uint32_t thread, Rendezvous& rendezvous)
    : plan_(plan),
      rendezvous_(rendezvous),
      loop_(io, "bench"),
      session_{.io = io, .plan = plan, .tally = tally_} {
  const auto senders = static_cast<std::uint32_t>(share(plan.connections, plan.threads, thread));
  if (plan.protocol == Protocol::http) requests_ = make_requests(plan);
  session_.senders = senders;
  session_.eager.reserve(senders);
  session_.stamps = Stamps(thread * sequences_per_thread);
  for (std::uint32_t i = 0; i < senders; ++i) {
    if (plan.protocol == Protocol::mqtt) {
      senders_.push_back(std::make_unique<MqttSender>(session_, i, i * plan.threads + thread));
    } else {
      senders_.push_back(std::make_unique<HttpSender>(session_, i, requests_));
    }
  }
  if (thread == 0 && !plan.subscribe.empty()) {
    subscriber_ = std::make_unique<Subscriber>(io, tally_, plan, session_.measured_from);
  }
  if (plan.rate > 0) {
    session_.interval_ns = 1e9 * plan.batch * plan.threads / plan.rate;
  }
  const std::uint64_t sends = (plan.count + plan.batch - 1) / plan.batch;
  if (plan.count > 0) grants_max_ = share(sends, plan.threads, thread);
}

void Generator::run() {
  loop_.add_ticker(*this);
  now_ = phase_began_ = loop_.io().now();
  if (subscriber_) subscriber_->connect(plan_.subscribe_server);
  for (const auto& sender : senders_) sender->connect(plan_.server);
  while (phase_ != Phase::done) loop_.turn();
}

MonoTime Generator::on_tick(MonoTime now) noexcept {
  now_ = now;
  switch (phase_) {
    case Phase::connecting:
      tick_connecting();
      break;
    case Phase::running:
      tick_running();
      break;
    case Phase::draining:
      tick_draining();
      break;
    case Phase::receiving:
      tick_receiving();
      break;
    case Phase::closing:
      tick_closing();
      break;
    case Phase::done:
      break;
  }
  if (phase_ != Phase::running) return now + look;
  if (session_.interval_ns <= 0) return std::min(end(), now + look);
  return std::min(end(), session_.due(granted_));
}

MonoTime Generator::end() const noexcept {
  if (plan_.count > 0) return MonoTime::max();
  return session_.measured_from + plan_.duration;
}

bool Generator::everyone_ready() const {
  const auto ready = [](const auto& connection) {
    return connection->ready() || connection->failed();
  };
  return std::all_of(senders_.begin(), senders_.end(), ready) &&
         (!subscriber_ || ready(subscriber_));
}

void Generator::tick_connecting() {
  if (!reported_ready_ && (everyone_ready() || silent(phase_began_))) {
    if (!everyone_ready()) tally_.fail("not every connection could be made in time");
    reported_ready_ = true;
    rendezvous_.ready.fetch_add(1);
  }
  if (rendezvous_.ready.load() == plan_.threads) begin();
}

void Generator::begin() {
  session_.start = session_.last_answer = session_.last_send = now_;
  session_.measured_from = now_ + (plan_.count > 0 ? Duration{} : plan_.warm_up);
  session_.sends_left = grants_max_;
  enter(Phase::running);
  if (tally_.errors > 0) {
    session_.sends_left = grants_max_ = 0;
    return;
  }
  for (const auto& sender : senders_) sender->hasten();
  tick_running();
}

void Generator::grant_due() {
  while (granted_ < grants_max_) {
    const MonoTime due = session_.due(granted_);
    if (due > now_ || due >= end()) return;
    senders_[static_cast<std::size_t>(granted_ % senders_.size())]->grant();
    ++granted_;
    if (measuring_) tally_.lateness.record(static_cast<std::uint64_t>((now_ - due).count()));
  }
}

void Generator::pump_eager() {
  // Pumping adds nobody: only completions and grants do.
  for (Sender* sender : session_.eager) sender->pump(now_);
  session_.eager.clear();
}

void Generator::tick_running() {
  const bool paced = session_.interval_ns > 0;
  if (!measuring_ && now_ >= session_.measured_from) {
    measuring_ = true;
    busy_before_ = thread_demand("/proc/thread-self");
  }
  if (paced) grant_due();
  pump_eager();
  const bool over = plan_.count > 0 ? (paced ? granted_ == grants_max_ : session_.sends_left == 0)
                                    : now_ >= end();
  if (over || stuck() || tally_.errors > 0) end_running();
}

void Generator::end_running() {
  session_.sends_left = 0;
  grants_max_ = granted_;
  if (measuring_) {
    tally_.busy = thread_demand("/proc/thread-self") - busy_before_;
    tally_.wall = loop_.io().now() - session_.measured_from;
  }
  enter(Phase::draining);
}

void Generator::tick_draining() {
  pump_eager();
  bool settled = true;
  for (const auto& sender : senders_) {
    if (sender->backlog() == 0) sender->finish();
    settled = settled && (sender->failed() || (sender->backlog() == 0 && sender->settled()));
  }
  if (!settled && !silent(std::max(last_sign(), phase_began_))) return;
  for (const auto& sender : senders_) tally_.unsent += sender->backlog() * plan_.batch;
  rendezvous_.acknowledged.fetch_add(tally_.acknowledged);
  rendezvous_.settled.fetch_add(1);
  enter(Phase::receiving);
}

void Generator::tick_receiving() {
  if (subscriber_ && !subscriber_->failed()) {
    const bool all = rendezvous_.settled.load() == plan_.threads &&
                     tally_.received >= rendezvous_.acknowledged.load();
    if (!all && !silent(std::max(subscriber_->last_arrival(), phase_began_))) return;
  }
  close_all();
}

void Generator::close_all() {
  for (const auto& sender : senders_) sender->close();
  if (subscriber_) subscriber_->close();
  enter(Phase::closing);
}

void Generator::tick_closing() {
  const auto closed = [](const auto& connection) { return connection->closed(); };
  if (std::all_of(senders_.begin(), senders_.end(), closed) &&
      (!subscriber_ || closed(subscriber_))) {
    enter(Phase::done);
  }
}

MonoTime Generator::last_sign() const noexcept {
  return std::max(session_.last_answer, session_.last_send);
}

bool Generator::silent(MonoTime since) const noexcept { return now_ - since > plan_.grace; }

bool Generator::stuck() const noexcept {
  if (!silent(last_sign())) return false;
  // At a slow pace, silence is the rule as long as nobody waits.
  if (session_.interval_ns <= 0) return true;
  if (plan_.protocol == Protocol::http || plan_.qos > 0) return tally_.unacknowledged() > 0;
  return std::any_of(senders_.begin(), senders_.end(),
                     [](const auto& sender) { return sender->backlog() > 0; });
}

Duration Generator::elapsed() const noexcept {
  return std::max(session_.last_answer - session_.measured_from, Duration{});
}

}  // namespace tocsin::cli::bench
