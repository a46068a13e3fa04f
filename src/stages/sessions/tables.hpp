#pragma once
// Sessions and retained messages as rows (store/schema.cpp). Used by one thread at a time.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "flow/session_store.hpp"
#include "stages/sessions/changes.hpp"
#include "store/database.hpp"

namespace tocsin::sessions {

/// Takes what is read. Rows whose checksum is wrong come here too, by their keys only.
class RowSink {
 public:
  virtual void on_session(flow::StoredSession&& session) = 0;
  virtual void on_retained(flow::StoredRetained&& retained) = 0;
  /// Everything of this session is to be removed.
  virtual void on_bad_session(std::string_view client_id) = 0;
  virtual void on_bad_subscription(std::string_view client_id, std::string_view filter) = 0;
  virtual void on_bad_message(std::string_view client_id, std::uint64_t ordinal) = 0;
  virtual void on_bad_retained(std::string_view topic) = 0;

 protected:
  ~RowSink() = default;
};

/// Rows that were written.
struct RowCounts {
  std::uint64_t put = 0;
  std::uint64_t removed = 0;
};

class Tables {
 public:
  /// The database was migrated and outlives this.
  [[nodiscard]] static store::DbResult<Tables> prepare(store::Database& database);

  /// Sessions in the order of their client ids, then retained messages. After an error that names
  /// damage the sink has got what could be read.
  [[nodiscard]] store::DbResult<void> read(RowSink& sink);
  /// All changes, inside of a transaction of the caller.
  [[nodiscard]] store::DbResult<void> write(const ChangeBatch& batch, RowCounts& rows);
  /// The same for a session that is not there yet.
  [[nodiscard]] store::DbResult<void> insert(const flow::StoredSession& session);
  [[nodiscard]] store::DbResult<void> insert(const flow::StoredRetained& retained);

 private:
  struct Owner {
    std::int64_t id;  ///< Of the session's row.
    std::string_view client_id;
  };
  [[nodiscard]] store::DbResult<void> read_session(std::int64_t id, flow::StoredSession& session,
                                                   RowSink& sink);
  [[nodiscard]] store::DbResult<void> read_retained(RowSink& sink);
  [[nodiscard]] store::DbResult<void> write_client(const ClientChanges& client, RowCounts& rows);
  [[nodiscard]] store::DbResult<void> write_lists(const ClientChanges& client, std::int64_t session,
                                                  RowCounts& rows);
  [[nodiscard]] store::DbResult<void> clear(std::int64_t session, RowCounts& rows);
  /// Its row's number; 0 when it has none.
  [[nodiscard]] store::DbResult<std::int64_t> session_id(std::string_view client_id);
  [[nodiscard]] store::DbResult<std::int64_t> put_session(const flow::StoredSession& session);
  [[nodiscard]] store::DbResult<void> put_subscription(
      const Owner& owner, const flow::StoredSubscription& subscription);
  [[nodiscard]] store::DbResult<void> put_message(const Owner& owner, std::uint64_t ordinal,
                                                  std::string_view bytes);
  [[nodiscard]] store::DbResult<void> put_retained(std::string_view topic, std::string_view bytes);

  store::Database* database_ = nullptr;
  store::Statement all_sessions_;
  store::Statement subscriptions_of_;
  store::Statement messages_of_;
  store::Statement all_retained_;
  store::Statement find_session_;
  store::Statement put_session_;
  store::Statement put_subscription_;
  store::Statement put_message_;
  store::Statement put_retained_;
  store::Statement remove_session_;
  store::Statement remove_subscriptions_;
  store::Statement remove_messages_;
  store::Statement remove_subscription_;
  store::Statement remove_message_;
  store::Statement remove_retained_;
};

}  // namespace tocsin::sessions
