#pragma once
// The sessions that one reactor owns: how a CONNECT gets its session, from whichever reactor has
// it, and how sessions end.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <tocsin/result.hpp>

#include "flow/loop.hpp"
#include "flow/session_store.hpp"
#include "stages/ingress/mqtt/directory.hpp"
#include "stages/ingress/mqtt/session.hpp"
#include "stages/ingress/mqtt/session_keeper.hpp"

namespace tocsin::ingress {

class MqttConnection;
class MqttServer;

/// One per server, on its thread.
class Sessions {
 public:
  Sessions(MqttServer& server, BrokerShared& shared);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;
  ~Sessions();

  /// What a CONNECT asks for.
  struct Request {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    std::string client_id;
    std::string user;
    bool clean = true;
  };
  struct Acquired {
    Session* session = nullptr;
    bool present = false;  ///< It is the one that the client had before.
  };
  /// The session for a connection; another connection that had it is ended. Nothing: another
  /// reactor has it, and MqttConnection::on_session follows.
  [[nodiscard]] std::optional<Acquired> acquire(Request request);
  /// The connection has ended, orderly (then the will is revoked) or not. The session may be
  /// destroyed.
  void detach(Session& session, bool will_wanted) noexcept;
  /// A session that outlived the process. Before the threads run.
  void restore(flow::StoredSession&& stored);

  [[nodiscard]] Session* find(std::uint64_t uid) noexcept;
  /// The commit of a QoS 2 publish is done, or failed.
  void on_commit(std::uint64_t uid, std::uint16_t packet_id, bool stored) noexcept;
  void on_session_timer(Session& session, MonoTime now) noexcept;
  /// Tries those again that the intake had no capacity for.
  void publish_waiting_wills() noexcept;
  [[nodiscard]] bool wills_waiting() const noexcept { return !waiting_wills_.empty(); }
  /// No will is published any more.
  void drop_wills() noexcept;
  /// After the router's work of a turn: sessions that other reactors asked for leave, once they
  /// have got everything that came here before the question.
  void hand_over_ready() noexcept;
  [[nodiscard]] SessionKeeper& keeper() noexcept { return keeper_; }
  [[nodiscard]] std::size_t size() const noexcept { return by_uid_.size(); }
  /// Nothing of another reactor is awaited.
  [[nodiscard]] bool settled() const noexcept { return awaiting_.empty(); }

  /// A Transfer came; owned.
  void on_transfer(void* object) noexcept;

 private:
  using Owner = SessionDirectory::Owner;
  /// What servers send each other: a request for the session of `claim`, or the answer to the
  /// requester's own claim.
  struct Transfer {
    bool answer = false;
    std::uint64_t claim = 0;
    Owner requester;
    std::unique_ptr<Session> session;
  };
  struct Awaited {
    Request request;
    std::uint64_t since = 0;       ///< Router::routed() when it was asked for.
    std::optional<Owner> forward;  ///< A later claim: the session goes on to it.
  };
  struct Surrender {
    Owner requester;
    std::optional<std::uint64_t> batches;  ///< As in Router::received(): routed before it leaves.
  };

  void send(MqttServer& to, std::unique_ptr<Transfer> transfer) noexcept;
  void answer_none(const Owner& requester) noexcept;
  void surrender(std::uint64_t claim, const Owner& requester) noexcept;
  void await(std::uint64_t claim, Request request);
  [[nodiscard]] bool ready(const Session& session, const Surrender& surrender) noexcept;
  void hand_over(Session& session, const Owner& requester) noexcept;
  void receive(std::uint64_t claim, std::unique_ptr<Session> session) noexcept;
  void rekey(Session& session, std::uint64_t claim);
  Session* adopt(std::unique_ptr<Session> session, std::uint64_t claim);
  [[nodiscard]] std::unique_ptr<Session> release(Session& session) noexcept;
  [[nodiscard]] Acquired finish(Session* old, const Request& request, std::uint64_t claim);
  [[nodiscard]] Session* take_local(std::uint64_t claim) noexcept;
  void end(Session& session) noexcept;
  void publish_will(Session& session) noexcept;
  void arm(Session& session) noexcept;

  MqttServer& server_;
  BrokerShared& shared_;
  SessionKeeper keeper_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Session>> by_uid_;
  std::unordered_map<std::uint64_t, Session*> by_claim_;
  std::map<std::uint64_t, Awaited> awaiting_;                  // By our claim; it ascends.
  std::unordered_map<std::uint64_t, Surrender> surrendering_;  // By uid.
  std::vector<std::unique_ptr<Will>> waiting_wills_;
};

/// Gives the servers what the store has kept: each session to one of them, the retained messages to
/// all. Before the threads run; blocking.
[[nodiscard]] Result<void, std::string> load_sessions(BrokerShared& shared,
                                                      flow::SessionStore& store);

}  // namespace tocsin::ingress
