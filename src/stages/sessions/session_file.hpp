#pragma once
// The database of sessions: opened when there is something to write, set aside when it is damaged.
// Used by one thread at a time; everything blocks.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <tocsin/result.hpp>
#include <tocsin/time.hpp>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "stages/sessions/changes.hpp"
#include "stages/sessions/tables.hpp"
#include "store/database.hpp"

namespace tocsin::sessions {

struct FileSettings {
  int cache_kib = store::cache_kib_default;
  int log_pages_max = 1000;  ///< Beyond, the log is moved into the file after a commit.
};

class SessionFile {
 public:
  SessionFile(std::string path, FileSettings settings, std::function<WallTime()> wall, Log log);
  SessionFile(const SessionFile&) = delete;
  SessionFile& operator=(const SessionFile&) = delete;

  /// Everything that can be read. Nothing when there is no file: none is made before a write. A
  /// damaged file does not fail this; one that may not be opened, or is too new, does. The error is
  /// a sentence for people.
  [[nodiscard]] Result<void, std::string> load(RowSink& sink);
  /// All changes in one transaction, durable when it succeeds; to be called again after an error.
  [[nodiscard]] store::DbResult<void> write(const ChangeBatch& batch, RowCounts& rows);
  /// What need not be done before an acknowledgement: moves a long log into the file.
  [[nodiscard]] store::DbResult<void> tidy();
  /// In order: the log goes into the file.
  void close();

  [[nodiscard]] std::uint64_t set_aside_count() const noexcept { return set_aside_.get(); }

 private:
  void abandon();
  [[nodiscard]] store::DbResult<void> open();
  [[nodiscard]] store::DbResult<void> open_or_replace();
  [[nodiscard]] store::DbResult<void> write_open(const ChangeBatch& batch, RowCounts& rows);
  [[nodiscard]] store::DbResult<void> after(store::DbResult<void> done);
  [[nodiscard]] store::DbResult<void> replace(const std::string& why);
  [[nodiscard]] store::DbResult<void> salvage(const std::string& from);

  const std::string path_;
  const FileSettings settings_;
  const std::function<WallTime()> wall_;
  Log log_;
  std::optional<store::Database> database_;  // Before its statements.
  std::optional<Tables> tables_;
  Counter set_aside_;
};

}  // namespace tocsin::sessions
