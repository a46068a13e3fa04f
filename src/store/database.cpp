#include "store/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/errno_text.hpp"
#include "base/unique_fd.hpp"

namespace tocsin::store {
namespace {

// The locking mode comes before the first read, or the log wants shared memory. cell_size_check
// finds damage where it is, before it spreads.
constexpr const char* settings =
    "PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA cell_size_check=ON;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA journal_size_limit=4194304;";

constexpr ::mode_t file_mode = 0640;  // Others have no business with sessions and messages.

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

// SQLite would leave the mode to the umask. It gives its log the mode of the database. Only a new
// file: to close a second descriptor of an open one would drop the locks of the first.
DbResult<void> create_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, file_mode));
  if (!fd.valid()) return {};  // It is there, or SQLite tells why it cannot be.
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const UniqueFd directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (::fchmod(fd.get(), file_mode) == 0 && directory.valid() && ::fsync(directory.get()) == 0) {
    return {};
  }
  return Unexpected{DbError{.fault = DbFault::io, .text = errno_text(errno)}};
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

DbResult<Database> Database::open(const std::string& path, int cache_kib) {
  if (auto created = create_file(path); !created) return Unexpected{created.error()};
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(connection);
  if (code != SQLITE_OK) return Unexpected{error_of(connection, code)};
  if (auto configured = database.configure(cache_kib); !configured) {
    return Unexpected{configured.error()};
  }
  return database;
}

DbResult<void> Database::configure(int cache_kib) {
  sqlite3* const connection = connection_.get();
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (auto done = execute(settings); !done) return done;
  const std::string cache = "PRAGMA cache_size=-" + std::to_string(cache_kib);
  if (auto done = execute(cache.c_str()); !done) return done;
  const auto pages = number("PRAGMA page_count");
  if (!pages) return Unexpected{pages.error()};
  if (*pages == 0) {
    // Before the first page is written, or never.
    if (auto done = execute("PRAGMA auto_vacuum=INCREMENTAL"); !done) return done;
  }
  if (auto begun = begin_log(); !begun) return begun;
  if (sqlite3_db_readonly(connection, "main") != 0) {
    return Unexpected{DbError{.fault = DbFault::unavailable, .text = "it may not be written"}};
  }
  if (auto secured = secure_log(); !secured) return secured;
  // The hook replaces the automatic checkpoints: the owner must see their errors.
  sqlite3_wal_hook(connection, count_log_pages, log_pages_.get());
  return {};
}

DbResult<void> Database::begin_log() noexcept {
  auto mode = prepare("PRAGMA journal_mode=WAL");
  if (!mode) return Unexpected{mode.error()};
  const auto row = mode->step();
  if (!row) return Unexpected{row.error()};
  if (!*row || mode->bytes(0) != "wal") {
    return Unexpected{DbError{.fault = DbFault::unavailable, .text = "no write-ahead log"}};
  }
  // The mode is committed where the statement ends. When that fails the connection stays in the old
  // one, whose commits are not durable: the directory is not synced when their journal is removed.
  if (auto ended = mode->finish(); !ended) return ended;
  // The first read opens the log.
  if (auto read = number("PRAGMA schema_version"); !read) return Unexpected{read.error()};
  return {};
}

// After a sync that failed, reads still see what the disk does not have, also in the next process,
// and a second sync writes nothing, because the kernel takes the pages for clean. Commits behind
// such a gap, and checkpoints from it, would be lost or torn by a power cut. So all is written
// anew.
DbResult<void> Database::secure_log() {
  sqlite3_file* log = nullptr;
  sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (log == nullptr || log->pMethods == nullptr) return {};
  sqlite3_int64 size = 0;
  int code = log->pMethods->xFileSize(log, &size);
  if (code == SQLITE_OK && size == 0) return {};
  std::vector<char> block(std::size_t{64} << 10U);
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size;) {
    const int step =
        static_cast<int>(std::min(static_cast<sqlite3_int64>(block.size()), size - at));
    code = log->pMethods->xRead(log, block.data(), step, at);
    if (code == SQLITE_OK) code = log->pMethods->xWrite(log, block.data(), step, at);
    at += step;
  }
  if (code == SQLITE_OK) code = log->pMethods->xSync(log, SQLITE_SYNC_FULL);
  if (code != SQLITE_OK) return Unexpected{error_of(nullptr, code)};
  return {};
}

void Database::end_in_order() noexcept {
  sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
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

DbResult<void> Database::checkpoint() noexcept {
  const int code = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
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
