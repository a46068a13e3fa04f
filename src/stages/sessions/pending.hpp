#pragma once
// The queue between the reactors and the writer: coalesces changes and bounds their bytes. Not
// synchronized: its owner holds a lock.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"
#include "base/metrics.hpp"
#include "stages/sessions/changes.hpp"

namespace tocsin::sessions {

class Pending {
 public:
  /// `seed`: clients choose their ids, and must not be able to make them collide.
  Pending(std::size_t bytes_max, std::uint64_t seed);
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  /// The disk has this session, with messages below `ordinal_end`. Before any change of it.
  void know(std::string_view client_id, std::uint64_t ordinal_end);

  // Changes. False: refused, because the bound is reached or, for a list, because its session was
  // never put. What is released may be settled, in either case.
  bool put_session(const flow::StoredSession& session);
  bool remove_session(std::string_view client_id, Released& released);
  bool put_subscription(std::string_view client_id, const flow::StoredSubscription& subscription);
  bool remove_subscription(std::string_view client_id, std::string_view filter);
  bool put_message(std::string_view client_id, std::uint64_t ordinal, Bytes&& bytes,
                   flow::SettlementRange* range, Released& released);
  bool remove_message(std::string_view client_id, std::uint64_t ordinal, Released& released);
  bool put_retained(std::string_view topic, Bytes&& bytes, flow::SettlementRange* range,
                    Released& released);

  [[nodiscard]] std::size_t count() const noexcept { return open_->count; }
  /// Of what waits here; what was taken is the writer's.
  [[nodiscard]] std::size_t bytes() const noexcept { return open_->bytes; }
  /// Everything so far. It counts against the bound until it is given back.
  [[nodiscard]] std::unique_ptr<ChangeBatch> take();
  /// A taken batch is durable: [begin, end) of its clients are looked at, so that the lock can be
  /// given away in between.
  void forget_removed(const ChangeBatch& batch, std::size_t begin, std::size_t end);
  /// After the last of them.
  void give_back(std::size_t bytes) noexcept { taken_bytes_ -= bytes; }
  [[nodiscard]] std::size_t bytes_held() const noexcept { return open_->bytes + taken_bytes_; }

  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.get(); }
  [[nodiscard]] std::uint64_t coalesced() const noexcept { return coalesced_.get(); }

 private:
  /// What is known of a session that is, or may be, on the disk.
  struct Client {
    std::uint64_t epoch = 0;           // Of `changes`.
    ClientChanges* changes = nullptr;  // In open_, if the epoch is this one.
    std::uint64_t ordinal_end = 0;     // From here on no message is on the disk or taken.
    std::uint64_t put_end = 0;         // The same, with those in `changes`.
    bool stored = false;               // Something of it may be on the disk.
    bool exists = false;               // Put, and not removed since.
  };
  struct HashText {
    using is_transparent = void;
    std::uint64_t seed;
    std::size_t operator()(std::string_view text) const noexcept {
      return static_cast<std::size_t>(hash64(text, seed));
    }
  };
  using Clients = std::unordered_map<std::string, Client, HashText, std::equal_to<>>;

  [[nodiscard]] bool room(std::size_t cost, ChangeKind kind) noexcept;
  bool refuse() noexcept;
  bool nothing_to_do() noexcept;
  void charge(ClientChanges& changes, std::size_t bytes, std::size_t count) noexcept;
  void uncharge(ClientChanges& changes, std::size_t bytes, std::size_t count) noexcept;
  /// Null when its session does not exist.
  [[nodiscard]] Clients::value_type* find(std::string_view client_id);
  void refresh(Client& client) const noexcept;
  [[nodiscard]] std::size_t cost_to_open(const Clients::value_type& client) const noexcept;
  ClientChanges& open(Clients::value_type& client);
  void drop(ClientChanges& changes, Released& released);

  const std::size_t bytes_max_;
  std::uint64_t epoch_ = 1;
  Clients clients_;
  std::unique_ptr<ChangeBatch> open_ = std::make_unique<ChangeBatch>();
  std::vector<ClientChanges*> unused_;  // Entries of open_ whose client is gone.
  std::size_t taken_bytes_ = 0;
  Counter refused_;
  Counter coalesced_;
};

}  // namespace tocsin::sessions
