#include "store/database.hpp"

#include <sqlite3.h>

#include <cassert>
#include <climits>
#include <utility>

namespace tocsin::store {
namespace {

// A page cache of 1 MiB: what a batch touches is small, and the file system caches the rest.
// The locking mode comes before the first read, or the log wants shared memory; auto_vacuum before
// the first page is written, or never. cell_size_check finds damage where
// it is, before it spreads. Checkpoints are the owner's business: it must see their errors.
constexpr const char* settings =
    "PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA auto_vacuum=INCREMENTAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA cache_size=-1024;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA cell_size_check=ON;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA journal_size_limit=4194304;";

DbFault fault_of(int code) noexcept {
  if (code == SQLITE_IOERR_CORRUPTFS) return DbFault::damaged;
  switch (code & 0xff) {
    case SQLITE_FULL:
      return DbFault::full;
    case SQLITE_IOERR:
      return DbFault::io;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DbFault::damaged;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return DbFault::unavailable;
    default:
      return DbFault::other;
  }
}

DbError error_of(sqlite3* connection, int code) noexcept {
  const int extended = connection == nullptr ? code : sqlite3_extended_errcode(connection);
  std::string text = connection == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(connection);
  text += " (SQLite " + std::to_string(extended) + ")";
  return {.fault = fault_of((extended & 0xff) == (code & 0xff) ? extended : code),
          .text = std::move(text)};
}

int count_log_pages(void* count, sqlite3* /*connection*/, const char* /*name*/, int pages) {
  *static_cast<int*>(count) = pages;
  return SQLITE_OK;
}

}  // namespace

std::string_view to_string(DbFault fault) noexcept {
  switch (fault) {
    case DbFault::full:
      return "full";
    case DbFault::io:
      return "io";
    case DbFault::damaged:
      return "damaged";
    case DbFault::unavailable:
      return "unavailable";
    case DbFault::version:
      return "version";
    case DbFault::other:
      break;
  }
  return "other";
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

void Statement::reset() noexcept { sqlite3_reset(statement_.get()); }

void Statement::set(int index, std::int64_t value) noexcept {
  [[maybe_unused]] const int code = sqlite3_bind_int64(statement_.get(), index, value);
  assert(code == SQLITE_OK);
}

void Statement::set(int index, std::string_view text) noexcept {
  assert(text.size() <= INT_MAX);
  // A null pointer would bind NULL instead of an empty text.
  [[maybe_unused]] const int code =
      sqlite3_bind_text(statement_.get(), index, text.empty() ? "" : text.data(),
                        static_cast<int>(text.size()), SQLITE_STATIC);
  assert(code == SQLITE_OK);
}

void Statement::set(int index, Blob blob) noexcept {
  assert(blob.bytes.size() <= INT_MAX);
  [[maybe_unused]] const int code =
      sqlite3_bind_blob(statement_.get(), index, blob.bytes.empty() ? "" : blob.bytes.data(),
                        static_cast<int>(blob.bytes.size()), SQLITE_STATIC);
  assert(code == SQLITE_OK);
}

DbResult<bool> Statement::step() noexcept {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  DbError error = error_of(sqlite3_db_handle(statement_.get()), code);
  reset();
  return Unexpected{std::move(error)};
}

DbResult<void> Statement::finish() noexcept {
  for (;;) {
    const auto row = step();
    if (!row) return Unexpected{row.error()};
    if (!*row) return {};
  }
}

std::int64_t Statement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::bytes(int column) const noexcept {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string_view{}
                         : std::string_view(data, static_cast<std::size_t>(size));
}

void Database::Close::operator()(sqlite3* connection) const noexcept {
  [[maybe_unused]] const int code = sqlite3_close(connection);
  assert(code == SQLITE_OK && "a statement outlived its database");
}

DbResult<Database> Database::open(const std::string& path) {
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(connection);
  if (code != SQLITE_OK) return Unexpected{error_of(connection, code)};
  if (auto configured = database.configure(); !configured) return Unexpected{configured.error()};
  return database;
}

DbResult<void> Database::configure() noexcept {
  sqlite3* const connection = connection_.get();
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  if (auto done = execute(settings); !done) return done;
  {
    auto mode = prepare("PRAGMA journal_mode=WAL");
    if (!mode) return Unexpected{mode.error()};
    const auto row = mode->step();
    if (!row) return Unexpected{row.error()};
    if (!*row || mode->bytes(0) != "wal") {
      return Unexpected{DbError{.fault = DbFault::unavailable, .text = "no write-ahead log"}};
    }
  }
  if (sqlite3_db_readonly(connection, "main") != 0) {
    return Unexpected{DbError{.fault = DbFault::unavailable, .text = "it may not be written"}};
  }
  // The hook replaces the automatic checkpoints.
  sqlite3_wal_hook(connection, count_log_pages, log_pages_.get());
  return {};
}

DbError Database::error(int code) const noexcept { return error_of(connection_.get(), code); }

DbResult<Statement> Database::prepare(std::string_view sql) noexcept {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Unexpected{error(code)};
  return Statement(statement);
}

DbResult<void> Database::execute(const char* sql) noexcept {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Unexpected{error(code)};
  return {};
}

DbResult<std::int64_t> Database::number(std::string_view sql) noexcept {
  auto statement = prepare(sql);
  if (!statement) return Unexpected{statement.error()};
  const auto row = statement->step();
  if (!row) return Unexpected{row.error()};
  return *row ? statement->integer(0) : 0;
}

DbResult<void> Database::checkpoint(bool empty_log) noexcept {
  const int mode = empty_log ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  const int code = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, mode, nullptr, nullptr);
  if (code != SQLITE_OK) return Unexpected{error(code)};
  *log_pages_ = 0;
  return {};
}

DbResult<void> Database::trim() noexcept {
  constexpr std::int64_t free_min = 1024;
  const auto unused = number("PRAGMA freelist_count");
  if (!unused) return Unexpected{unused.error()};
  if (*unused < free_min) return {};
  const auto all = number("PRAGMA page_count");
  if (!all) return Unexpected{all.error()};
  if (*unused < *all / 2) return {};
  return execute("PRAGMA incremental_vacuum(1024)");
}

std::int64_t Database::changes() const noexcept { return sqlite3_changes64(connection_.get()); }

DbResult<Transaction> Transaction::begin(Database& database) noexcept {
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return Unexpected{begun.error()};
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // Some errors have undone it already: then this one fails, which is fine.
  if (database_ != nullptr) static_cast<void>(database_->execute("ROLLBACK"));
}

DbResult<void> Transaction::commit() noexcept {
  auto committed = database_->execute("COMMIT");
  if (committed) database_ = nullptr;
  return committed;
}

}  // namespace tocsin::store
