#include "stages/sessions/session_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "store/schema.hpp"
#include "store/set_aside.hpp"

namespace tocsin::sessions {
namespace {

using store::DbError;
using store::DbFault;
using store::DbResult;

// Writes what is still readable of a damaged file into a new one.
class Salvage final : public RowSink {
 public:
  explicit Salvage(Tables& into) : into_(into) {}
  void on_session(flow::StoredSession&& session) override {
    keep(into_.insert(session), 1 + session.subscriptions.size() + session.messages.size());
  }
  void on_retained(flow::StoredRetained&& retained) override { keep(into_.insert(retained), 1); }
  void on_bad_session(std::string_view) override {}
  void on_bad_subscription(std::string_view, std::string_view) override {}
  void on_bad_message(std::string_view, std::uint64_t) override {}
  void on_bad_retained(std::string_view) override {}

  [[nodiscard]] const DbResult<void>& outcome() const { return outcome_; }
  [[nodiscard]] std::size_t rows() const { return rows_; }

 private:
  void keep(DbResult<void> inserted, std::size_t rows) {
    if (inserted) {
      rows_ += rows;
    } else if (outcome_) {
      outcome_ = std::move(inserted);
    }
  }
  Tables& into_;
  DbResult<void> outcome_;
  std::size_t rows_ = 0;
};

}  // namespace

SessionFile::SessionFile(std::string path, FileSettings settings, std::function<WallTime()> wall,
                         Log log)
    : path_(std::move(path)), settings_(settings), wall_(std::move(wall)), log_(std::move(log)) {}

void SessionFile::close() {
  if (tables_) database_->end_in_order();
  abandon();
}

void SessionFile::abandon() {
  tables_.reset();
  database_.reset();
}

DbResult<void> SessionFile::open() {
  auto opened = store::Database::open(path_, settings_.cache_kib);
  if (!opened) return Unexpected{opened.error()};
  database_.emplace(std::move(*opened));
  auto ready = store::migrate(*database_);
  if (ready) {
    auto tables = Tables::prepare(*database_);
    if (tables) {
      tables_.emplace(std::move(*tables));
    } else {
      ready = Unexpected{tables.error()};
    }
  }
  if (!ready) abandon();
  return ready;
}

DbResult<void> SessionFile::open_or_replace() {
  if (tables_) return {};
  auto opened = open();
  if (opened || opened.error().fault != DbFault::damaged) return opened;
  return replace(opened.error().text);
}

Result<void, std::string> SessionFile::load(RowSink& sink) {
  const std::filesystem::path path(path_);
  if (::faccessat(AT_FDCWD, path.parent_path().c_str(), W_OK, AT_EACCESS) != 0) {
    return Unexpected{
        fmt::format("cannot write to {}: {}", path.parent_path().string(), errno_text(errno))};
  }
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  auto opened = open();
  // A sector that cannot be read is damage too.
  const auto damaged = [](const DbError& error) {
    return error.fault == DbFault::damaged || error.fault == DbFault::io;
  };
  if (!opened && damaged(opened.error())) opened = replace(opened.error().text);
  if (!opened) return Unexpected{fmt::format("cannot use {}: {}", path_, opened.error().text)};
  const auto read = tables_->read(sink);
  if (read) return {};
  if (!damaged(read.error())) {
    return Unexpected{fmt::format("cannot read {}: {}", path_, read.error().text)};
  }
  // The sink has got what is readable; the new file gets the same.
  if (const auto replaced = replace(read.error().text); !replaced) {
    log_->error("{}: cannot write what was saved of it: {}", path_, replaced.error().text);
  }
  return {};
}

DbResult<void> SessionFile::replace(const std::string& why) {
  abandon();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wall_().time_since_epoch());
  const auto moved = store::set_aside(path_, seconds.count());
  if (!moved) {
    return Unexpected{DbError{.fault = DbFault::io, .text = "cannot rename it: " + moved.error()}};
  }
  set_aside_.add();
  log_->error("{} is damaged ({}): it was moved to {}", path_, why, *moved);
  if (auto opened = open(); !opened) return opened;
  return salvage(*moved);
}

DbResult<void> SessionFile::salvage(const std::string& from) {
  std::size_t rows = 0;
  if (auto damaged = store::Database::open(from)) {
    if (auto tables = Tables::prepare(*damaged)) {
      auto transaction = store::Transaction::begin(*database_);
      if (!transaction) return Unexpected{transaction.error()};
      Salvage sink(*tables_);
      static_cast<void>(tables->read(sink));
      if (!sink.outcome()) return sink.outcome();
      if (auto done = transaction->commit(); !done) return done;
      rows = sink.rows();
    }
  }
  log_->warn("{}: {} rows of MQTT sessions could be saved from the damaged file", path_, rows);
  return {};
}

DbResult<void> SessionFile::write(const ChangeBatch& batch, RowCounts& rows) {
  if (auto opened = open_or_replace(); !opened) return opened;
  return after(write_open(batch, rows));
}

DbResult<void> SessionFile::write_open(const ChangeBatch& batch, RowCounts& rows) {
  auto transaction = store::Transaction::begin(*database_);
  if (!transaction) return Unexpected{transaction.error()};
  if (auto written = tables_->write(batch, rows); !written) return written;
  return transaction->commit();
}

DbResult<void> SessionFile::tidy() {
  if (!tables_ || database_->log_pages() < settings_.log_pages_max) return {};
  if (auto done = after(database_->checkpoint()); !done) return done;
  return after(database_->trim());
}

DbResult<void> SessionFile::after(DbResult<void> done) {
  if (done) return done;
  if (done.error().fault == DbFault::io) {
    // After a sync that failed the next may succeed although the data is gone: opening makes sure
    // of the log.
    abandon();
  } else if (done.error().fault == DbFault::damaged) {
    if (auto replaced = replace(done.error().text); !replaced) return replaced;
  }
  return done;
}

}  // namespace tocsin::sessions
