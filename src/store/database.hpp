#pragma once
// One connection to an SQLite database in WAL mode, and its prepared statements. Used by one thread
// at a time. Nothing here throws.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <tocsin/result.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace tocsin::store {

/// What a failure means for the one who must go on.
enum class DbFault : std::uint8_t {
  full,         ///< The disk is; try again later.
  io,           ///< Reading, writing or syncing failed: the connection must be opened anew.
  damaged,      ///< The file is no database, or no longer.
  unavailable,  ///< It may not be opened or written, or another process has it.
  version,      ///< A newer Tocsin wrote it.
  other,
};
[[nodiscard]] std::string_view to_string(DbFault fault) noexcept;

struct DbError {
  DbFault fault = DbFault::other;
  std::string text;  ///< For people; never holds values.
};
template <typename T>
using DbResult = Result<T, DbError>;

/// Bytes, as opposed to text.
struct Blob {
  std::string_view bytes;
};

/// One prepared statement. Ends before its database. Texts and blobs are borrowed from bind() to
/// the end of the step that uses them; columns are valid until the next step() or reset().
class Statement {
 public:
  Statement() = default;

  /// Begins anew with these values for ?1, ?2 and so on.
  template <typename... Values>
  Statement& bind(const Values&... values) noexcept {
    reset();
    int index = 0;
    (set(++index, values), ...);
    return *this;
  }
  void reset() noexcept;
  /// True: a row is there. False: the statement is done, and was reset.
  [[nodiscard]] DbResult<bool> step() noexcept;
  /// Binds, runs to the end and ignores rows.
  template <typename... Values>
  [[nodiscard]] DbResult<void> run(const Values&... values) noexcept {
    bind(values...);
    return finish();
  }

  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] std::string_view bytes(int column) const noexcept;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  explicit Statement(sqlite3_stmt* statement) noexcept : statement_(statement) {}
  void set(int index, std::int64_t value) noexcept;
  void set(int index, std::string_view text) noexcept;
  void set(int index, Blob blob) noexcept;
  [[nodiscard]] DbResult<void> finish() noexcept;

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// What a batch touches is small, and the file system caches the rest.
inline constexpr int cache_kib_default = 1024;

class Database {
 public:
  /// Opens or creates, then with mode 0640, whatever the umask. WAL, a full sync a commit,
  /// exclusive: other processes are locked out, and no shared memory file is needed. A log that is
  /// there is on the disk afterwards, all of it. Blocking.
  [[nodiscard]] static DbResult<Database> open(const std::string& path,
                                               int cache_kib = cache_kib_default);
  /// Nothing has failed: at its end the log is moved into the file and removed. Otherwise the log
  /// is left as it is for the next open, because what it seems to hold may not be on the disk.
  void end_in_order() noexcept;

  [[nodiscard]] DbResult<Statement> prepare(std::string_view sql) noexcept;
  /// Runs one or more statements without values.
  [[nodiscard]] DbResult<void> execute(const char* sql) noexcept;
  /// The first column of the only row, for pragmas.
  [[nodiscard]] DbResult<std::int64_t> number(std::string_view sql) noexcept;
  /// Moves what the log holds into the file and syncs it; the log begins anew.
  [[nodiscard]] DbResult<void> checkpoint() noexcept;
  /// Gives pages back to the file system when most of the file is free, some at a time.
  [[nodiscard]] DbResult<void> trim() noexcept;
  /// Size of the log beside the file, in pages, as of the last commit.
  [[nodiscard]] int log_pages() const noexcept { return *log_pages_; }
  /// Rows that the last statement inserted, changed or deleted.
  [[nodiscard]] std::int64_t changes() const noexcept;

 private:
  struct Close {
    void operator()(sqlite3* connection) const noexcept;
  };
  explicit Database(sqlite3* connection) noexcept : connection_(connection) {}
  [[nodiscard]] DbResult<void> configure(int cache_kib);
  [[nodiscard]] DbResult<void> begin_log() noexcept;
  [[nodiscard]] DbResult<void> secure_log();
  [[nodiscard]] DbError error(int code) const noexcept;

  // SQLite keeps its address for the hook that counts pages, and a Database moves. Declared first,
  // because closing runs a checkpoint.
  std::unique_ptr<int> log_pages_ = std::make_unique<int>(0);
  std::unique_ptr<sqlite3, Close> connection_;
};

/// Undone at the end of its scope unless committed.
class Transaction {
 public:
  [[nodiscard]] static DbResult<Transaction> begin(Database& database) noexcept;
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  /// Durable when it succeeds. After an error it is undone, or its outcome unknown (fault `io`).
  [[nodiscard]] DbResult<void> commit() noexcept;

 private:
  explicit Transaction(Database& database) noexcept : database_(&database) {}
  Database* database_;
};

}  // namespace tocsin::store
