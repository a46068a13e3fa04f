#include "stages/sessions/tables.hpp"

#include <array>
#include <span>
#include <utility>

#include "base/crc32c.hpp"

namespace tocsin::sessions {
namespace {

using store::Blob;
using store::DbError;
using store::DbFault;
using store::DbResult;
using store::Statement;

// The checksum of a row: sizes count, so that bytes do not move from one column to the next.
class RowCrc {
 public:
  RowCrc& add(std::string_view text) noexcept {
    add(static_cast<std::int64_t>(text.size()));
    crc_ = crc32c(crc_, std::as_bytes(std::span(text)));
    return *this;
  }
  RowCrc& add(std::int64_t number) noexcept {
    std::array<std::byte, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(static_cast<std::uint64_t>(number) >> (8 * i));
    }
    crc_ = crc32c(crc_, bytes);
    return *this;
  }
  [[nodiscard]] std::int64_t value() const noexcept { return crc_; }

 private:
  std::uint32_t crc_ = 0;
};

std::int64_t crc_of(const flow::StoredSession& session) noexcept {
  return RowCrc{}
      .add(session.client_id)
      .add(session.expiry_s)
      .add(session.disconnected_wall_us)
      .add(session.state)
      .value();
}

// By the client's id, not by the row's number: those are used again, and a list that lost its
// session must not become another's.
std::int64_t crc_of(std::string_view client_id, const flow::StoredSubscription& s) noexcept {
  return RowCrc{}.add(client_id).add(s.filter).add(s.options).add(s.identifier).value();
}

std::int64_t crc_of(std::string_view client_id, std::uint64_t ordinal,
                    std::string_view bytes) noexcept {
  return RowCrc{}.add(client_id).add(static_cast<std::int64_t>(ordinal)).add(bytes).value();
}

std::int64_t crc_of(std::string_view topic, std::string_view bytes) noexcept {
  return RowCrc{}.add(topic).add(bytes).value();
}

}  // namespace

DbResult<Tables> Tables::prepare(store::Database& database) {
  Tables tables;
  tables.database_ = &database;
  const std::array<std::pair<Statement Tables::*, std::string_view>, 15> statements{{
      {&Tables::all_sessions_,
       "SELECT id, client_id, expiry_s, disconnected_wall_us, state, crc FROM sessions "
       "ORDER BY client_id"},
      {&Tables::subscriptions_of_,
       "SELECT filter, options, identifier, crc FROM subscriptions WHERE session=?1 "
       "ORDER BY filter"},
      {&Tables::messages_of_,
       "SELECT ordinal, bytes, crc FROM messages WHERE session=?1 ORDER BY ordinal"},
      {&Tables::all_retained_, "SELECT topic, bytes, crc FROM retained ORDER BY topic"},
      {&Tables::find_session_, "SELECT id FROM sessions WHERE client_id=?1"},
      {&Tables::put_session_,
       "INSERT INTO sessions (client_id, expiry_s, disconnected_wall_us, state, crc) "
       "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (client_id) DO UPDATE SET "
       "expiry_s=?2, disconnected_wall_us=?3, state=?4, crc=?5 RETURNING id"},
      {&Tables::put_subscription_,
       "INSERT OR REPLACE INTO subscriptions (session, filter, options, identifier, crc) "
       "VALUES (?1, ?2, ?3, ?4, ?5)"},
      {&Tables::put_message_,
       "INSERT OR REPLACE INTO messages (session, ordinal, bytes, crc) VALUES (?1, ?2, ?3, ?4)"},
      {&Tables::put_retained_,
       "INSERT OR REPLACE INTO retained (topic, bytes, crc) VALUES (?1, ?2, ?3)"},
      {&Tables::remove_session_, "DELETE FROM sessions WHERE id=?1"},
      {&Tables::remove_subscriptions_, "DELETE FROM subscriptions WHERE session=?1"},
      {&Tables::remove_messages_, "DELETE FROM messages WHERE session=?1"},
      {&Tables::remove_subscription_, "DELETE FROM subscriptions WHERE session=?1 AND filter=?2"},
      {&Tables::remove_message_, "DELETE FROM messages WHERE session=?1 AND ordinal=?2"},
      {&Tables::remove_retained_, "DELETE FROM retained WHERE topic=?1"},
  }};
  for (const auto& [member, sql] : statements) {
    auto statement = database.prepare(sql);
    if (!statement) {
      // The version is ours, so a table or column that is not there was lost.
      DbError error = std::move(statement.error());
      if (error.fault == DbFault::other) error.fault = DbFault::damaged;
      return Unexpected{std::move(error)};
    }
    tables.*member = std::move(*statement);
  }
  return tables;
}

DbResult<void> Tables::read(RowSink& sink) {
  // Damage in one place must not cost what is elsewhere: it is told at the end.
  DbResult<void> outcome;
  all_sessions_.bind();
  for (;;) {
    const auto row = all_sessions_.step();
    if (!row) {
      outcome = Unexpected{row.error()};
      if (row.error().fault != DbFault::damaged) return outcome;
      break;
    }
    if (!*row) break;
    flow::StoredSession session;
    const std::int64_t id = all_sessions_.integer(0);
    session.client_id = all_sessions_.bytes(1);
    session.expiry_s = static_cast<std::uint32_t>(all_sessions_.integer(2));
    session.disconnected_wall_us = all_sessions_.integer(3);
    session.state = all_sessions_.bytes(4);
    if (all_sessions_.integer(5) != crc_of(session)) {
      sink.on_bad_session(session.client_id);
      continue;
    }
    if (auto read = read_session(id, session, sink); !read) {
      if (read.error().fault != DbFault::damaged) return read;
      outcome = std::move(read);
    }
    sink.on_session(std::move(session));
  }
  if (auto read = read_retained(sink); !read) return read;
  return outcome;
}

DbResult<void> Tables::read_session(std::int64_t id, flow::StoredSession& session, RowSink& sink) {
  DbResult<void> outcome;
  subscriptions_of_.bind(id);
  for (;;) {
    const auto row = subscriptions_of_.step();
    if (!row) outcome = Unexpected{row.error()};
    if (!row || !*row) break;
    flow::StoredSubscription subscription{
        .filter = std::string(subscriptions_of_.bytes(0)),
        .options = static_cast<std::uint8_t>(subscriptions_of_.integer(1)),
        .identifier = static_cast<std::uint32_t>(subscriptions_of_.integer(2))};
    if (subscriptions_of_.integer(3) != crc_of(session.client_id, subscription)) {
      sink.on_bad_subscription(session.client_id, subscription.filter);
      continue;
    }
    session.subscriptions.push_back(std::move(subscription));
  }
  messages_of_.bind(id);
  for (;;) {
    const auto row = messages_of_.step();
    if (!row) outcome = Unexpected{row.error()};
    if (!row || !*row) return outcome;
    const auto ordinal = static_cast<std::uint64_t>(messages_of_.integer(0));
    const std::string_view bytes = messages_of_.bytes(1);
    if (messages_of_.integer(2) != crc_of(session.client_id, ordinal, bytes)) {
      sink.on_bad_message(session.client_id, ordinal);
      continue;
    }
    session.messages.push_back({.ordinal = ordinal, .bytes = std::string(bytes)});
  }
}

DbResult<void> Tables::read_retained(RowSink& sink) {
  all_retained_.bind();
  for (;;) {
    const auto row = all_retained_.step();
    if (!row) return Unexpected{row.error()};
    if (!*row) return {};
    flow::StoredRetained retained{.topic = std::string(all_retained_.bytes(0)),
                                  .bytes = std::string(all_retained_.bytes(1))};
    if (all_retained_.integer(2) != crc_of(retained.topic, retained.bytes)) {
      sink.on_bad_retained(retained.topic);
      continue;
    }
    sink.on_retained(std::move(retained));
  }
}

DbResult<void> Tables::write(const ChangeBatch& batch, RowCounts& rows) {
  for (const ClientChanges& client : batch.clients) {
    if (client.empty()) continue;
    if (auto written = write_client(client, rows); !written) return written;
  }
  for (const auto& [topic, change] : batch.retained) {
    if (change.bytes.size() == 0) {
      if (auto done = remove_retained_.run(std::string_view(topic)); !done) return done;
      ++rows.removed;
      continue;
    }
    if (auto done = put_retained(topic, change.bytes.view()); !done) return done;
    ++rows.put;
  }
  return {};
}

DbResult<void> Tables::write_client(const ClientChanges& client, RowCounts& rows) {
  if (client.clear_first) {
    const auto id = session_id(client.client_id);
    if (!id) return Unexpected{id.error()};
    if (*id != 0) {
      if (auto cleared = clear(*id, rows); !cleared) return cleared;
    }
  }
  if (client.put_session) {
    flow::StoredSession session;
    session.client_id = client.client_id;
    session.expiry_s = client.expiry_s;
    session.disconnected_wall_us = client.disconnected_wall_us;
    session.state = client.state;
    const auto id = put_session(session);
    if (!id) return Unexpected{id.error()};
    ++rows.put;
    return write_lists(client, *id, rows);
  }
  if (client.subscriptions.empty() && client.messages.live() == 0) return {};
  const auto id = session_id(client.client_id);
  if (!id) return Unexpected{id.error()};
  // Only after its row was lost to damage.
  if (*id == 0) return {};
  return write_lists(client, *id, rows);
}

DbResult<void> Tables::write_lists(const ClientChanges& client, std::int64_t session,
                                   RowCounts& rows) {
  const Owner owner{.id = session, .client_id = client.client_id};
  for (const auto& [filter, change] : client.subscriptions) {
    const bool put = change.kind == ChangeKind::put;
    auto done = put ? put_subscription(owner, {.filter = filter,
                                               .options = change.options,
                                               .identifier = change.identifier})
                    : remove_subscription_.run(owner.id, std::string_view(filter));
    if (!done) return done;
    ++(put ? rows.put : rows.removed);
  }
  for (const MessageChange& change : client.messages.list()) {
    if (change.kind == ChangeKind::none) continue;
    const bool put = change.kind == ChangeKind::put;
    auto done = put ? put_message(owner, change.ordinal, change.bytes.view())
                    : remove_message_.run(owner.id, static_cast<std::int64_t>(change.ordinal));
    if (!done) return done;
    ++(put ? rows.put : rows.removed);
  }
  return {};
}

DbResult<void> Tables::clear(std::int64_t session, RowCounts& rows) {
  for (Statement* statement : {&remove_messages_, &remove_subscriptions_, &remove_session_}) {
    if (auto done = statement->run(session); !done) return done;
    rows.removed += static_cast<std::uint64_t>(database_->changes());
  }
  return {};
}

DbResult<std::int64_t> Tables::session_id(std::string_view client_id) {
  const auto row = find_session_.bind(client_id).step();
  if (!row) return Unexpected{row.error()};
  const std::int64_t id = *row ? find_session_.integer(0) : 0;
  find_session_.reset();
  return id;
}

DbResult<std::int64_t> Tables::put_session(const flow::StoredSession& session) {
  const auto row = put_session_
                       .bind(std::string_view(session.client_id), std::int64_t{session.expiry_s},
                             session.disconnected_wall_us, Blob{session.state}, crc_of(session))
                       .step();
  if (!row) return Unexpected{row.error()};
  const std::int64_t id = put_session_.integer(0);
  // The row is written when its statement has ended.
  if (auto ended = put_session_.step(); !ended) return Unexpected{ended.error()};
  return id;
}

DbResult<void> Tables::put_subscription(const Owner& owner,
                                        const flow::StoredSubscription& subscription) {
  return put_subscription_.run(
      owner.id, std::string_view(subscription.filter), std::int64_t{subscription.options},
      std::int64_t{subscription.identifier}, crc_of(owner.client_id, subscription));
}

DbResult<void> Tables::put_message(const Owner& owner, std::uint64_t ordinal,
                                   std::string_view bytes) {
  return put_message_.run(owner.id, static_cast<std::int64_t>(ordinal), Blob{bytes},
                          crc_of(owner.client_id, ordinal, bytes));
}

DbResult<void> Tables::put_retained(std::string_view topic, std::string_view bytes) {
  return put_retained_.run(topic, Blob{bytes}, crc_of(topic, bytes));
}

DbResult<void> Tables::insert(const flow::StoredSession& session) {
  const auto id = put_session(session);
  if (!id) return Unexpected{id.error()};
  const Owner owner{.id = *id, .client_id = session.client_id};
  for (const flow::StoredSubscription& subscription : session.subscriptions) {
    if (auto done = put_subscription(owner, subscription); !done) return done;
  }
  for (const flow::StoredMessage& message : session.messages) {
    if (auto done = put_message(owner, message.ordinal, message.bytes); !done) return done;
  }
  return {};
}

DbResult<void> Tables::insert(const flow::StoredRetained& retained) {
  return put_retained(retained.topic, retained.bytes);
}

}  // namespace tocsin::sessions
