#include "store/schema.hpp"

#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace tocsin::store {
namespace {

// Lists are clustered by their session, so that a session is read and removed in one place. Each
// row has a checksum: the file format has none, and one damaged row must not cost the others.
constexpr const char* version_1 = R"(
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  client_id TEXT NOT NULL UNIQUE,
  expiry_s INTEGER NOT NULL,
  disconnected_wall_us INTEGER NOT NULL,
  state BLOB NOT NULL,
  crc INTEGER NOT NULL
);
CREATE TABLE subscriptions (
  session INTEGER NOT NULL,
  filter TEXT NOT NULL,
  options INTEGER NOT NULL,
  identifier INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (session, filter)
) WITHOUT ROWID;
CREATE TABLE messages (
  session INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY (session, ordinal)
) WITHOUT ROWID;
CREATE TABLE retained (
  topic TEXT NOT NULL PRIMARY KEY,
  bytes BLOB NOT NULL,
  crc INTEGER NOT NULL
) WITHOUT ROWID;
)";

constexpr std::array steps_so_far{version_1};

// "Toc" and the version once more. A flipped bit in the file's header must not look like a newer
// version, which would keep the program from starting.
constexpr std::int64_t application_id(std::int64_t version) noexcept {
  return std::int64_t{0x546F6300} | (version & 0xff);
}

}  // namespace

std::span<const char* const> schema_steps() noexcept { return steps_so_far; }

DbResult<void> migrate(Database& database, std::span<const char* const> steps) noexcept {
  const auto version = database.number("PRAGMA user_version");
  if (!version) return Unexpected{version.error()};
  const auto id = database.number("PRAGMA application_id");
  if (!id) return Unexpected{id.error()};
  const bool empty = *version == 0 && *id == 0;
  if (!empty && *id != application_id(*version)) {
    return Unexpected{DbError{.fault = DbFault::damaged, .text = "the header was changed"}};
  }
  const auto newest = static_cast<std::int64_t>(steps.size());
  if (*version > newest) {
    return Unexpected{DbError{
        .fault = DbFault::version,
        .text = fmt::format("it has version {}, and this Tocsin knows versions up to {}: start a "
                            "newer Tocsin, or move the file away to begin without it",
                            *version, newest)}};
  }
  for (std::int64_t v = *version; v < newest; ++v) {
    auto transaction = Transaction::begin(database);
    if (!transaction) return Unexpected{transaction.error()};
    if (auto done = database.execute(steps[static_cast<std::size_t>(v)]); !done) return done;
    const std::string mark = fmt::format("PRAGMA user_version={}; PRAGMA application_id={};", v + 1,
                                         application_id(v + 1));
    if (auto done = database.execute(mark.c_str()); !done) return done;
    if (auto done = transaction->commit(); !done) return done;
  }
  return {};
}

}  // namespace tocsin::store
