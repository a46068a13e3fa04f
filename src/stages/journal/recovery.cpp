#include "stages/journal/recovery.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/errno_text.hpp"
#include "stages/journal/segment_reader.hpp"

namespace tocsin::journal {
namespace {

struct Scan {
  SegmentInfo info;
  std::uint64_t block_end = 0;  ///< Of the last good one.
  std::uint64_t next = 0;       ///< Sequence that was to follow.
  std::uint64_t tail = 0;       ///< Bytes of unfinished or damaged blocks behind it.
  std::uint64_t stale = 0;      ///< Bytes behind it that may be of another segment.
  bool unreadable = false;
};

class Scanner {
 public:
  Scanner(io::Io& io, const std::string& directory, const Log& log)
      : io_(io), directory_(directory), log_(log), reader_(io) {}

  Result<RecoveryReport, std::string> run() {
    const auto names = io_.list(directory_);
    if (!names) {
      return Unexpected{fmt::format("cannot list the journal directory {}: {}", directory_,
                                    errno_text(names.error()))};
    }
    std::vector<SegmentKey> keys;
    for (const std::string& name : *names) {
      if (const auto key = parse_segment_name(name)) keys.push_back(*key);
    }
    std::sort(keys.begin(), keys.end());
    for (const SegmentKey& key : keys) {
      if (auto scanned = scan(key); !scanned) return Unexpected{std::move(scanned.error())};
    }
    cut_torn_end();
    make_durable();
    for (const Scan& s : scans_) report_.segments.push_back(s.info);
    return std::move(report_);
  }

 private:
  std::string path_of(const SegmentKey& key) const { return directory_ + "/" + segment_name(key); }

  Result<void, std::string> scan(const SegmentKey& key) {
    Scan& s = scans_.emplace_back();
    s.info.key = key;
    next_ = std::max(next_, key.id);
    if (const auto opened = reader_.open(path_of(key), key.tag, UINT64_MAX); !opened) {
      note_unreadable(s, 0, opened.error());
      return {};
    }
    s.info.file_bytes = file_size(key);
    for (;;) {
      switch (reader_.next(next_)) {
        case SegmentReader::Step::block:
          take_block(s);
          continue;
        case SegmentReader::Step::newer:
          return Unexpected{fmt::format(
              "journal file {} holds a block of version {} at offset {}, and this program knows "
              "version {}: a newer Tocsin wrote it. Nothing was changed; start that version again",
              path_of(key), reader_.newer_version(), reader_.position(), flow::block_version)};
        case SegmentReader::Step::failed:
          note_unreadable(s, reader_.position(), reader_.error());
          break;
        case SegmentReader::Step::end:
          break;
      }
      break;
    }
    s.block_end = reader_.block_end();
    s.info.bytes = reader_.good_end();
    s.next = next_;
    s.tail = key.recycled() ? reader_.torn() : reader_.tail();
    if (key.recycled() && s.info.file_bytes > s.info.bytes) {
      s.stale = s.info.file_bytes - s.info.bytes;
    }
    report_.next_sequence = std::max(report_.next_sequence, next_);
    reader_.close();
    return {};
  }

  void take_block(Scan& s) {
    const auto& header = reader_.block().header();
    if (reader_.skipped() > 0) {
      ++report_.damaged_regions;
      report_.damaged_bytes += reader_.skipped();
      log_->error(
          "journal file {}: {} damaged bytes before offset {} are skipped (events {} to {} are "
          "missing); the file is kept",
          path_of(s.info.key), reader_.skipped(), reader_.block_end(), next_,
          header.base_sequence - 1);
    }
    ++report_.blocks;
    report_.events += header.record_count;
    s.info.last_sequence = header.base_sequence + header.record_count - 1;
    next_ = s.info.last_sequence + 1;
  }

  void note_unreadable(Scan& s, std::uint64_t offset, io::Errno error) {
    s.unreadable = true;
    ++report_.unreadable_segments;
    // What could not be read may hold events: give none of their sequences again. A record takes at
    // least its header's bytes on disk.
    const std::uint64_t size = std::max(file_size(s.info.key), std::uint64_t{block_size_max});
    const std::uint64_t records = size / sizeof(RecordHeader) + 1;
    if (next_ < UINT64_MAX - records) next_ += records;
    report_.next_sequence = std::max(report_.next_sequence, next_);
    log_->error("journal file {}: cannot be read from offset {}: {}; the file is kept",
                path_of(s.info.key), offset, errno_text(error));
  }

  std::uint64_t file_size(const SegmentKey& key) {
    const auto file = io_.open(path_of(key), io::OpenMode::read);
    if (!file) return 0;
    const auto size = io_.size(*file);
    io_.close_file(*file);
    return size ? *size : 0;
  }

  // A crash can leave unfinished commits in the last segment with blocks, and in empty ones that
  // were opened after it. What is stale goes as well: behind the journal's end nobody needs it.
  void cut_torn_end() {
    bool at_end = true;
    for (std::size_t i = scans_.size(); i-- > 0;) {
      Scan& s = scans_[i];
      if (at_end && !s.unreadable && s.tail + s.stale > 0) cut(s);
      if (!at_end && !s.unreadable) note_lost_end(s, scans_[i + 1].info.key.id);
      if (s.info.last_sequence != 0 || s.unreadable) at_end = false;
    }
  }

  // Of a segment that others follow. Between stale bytes a damaged header is not to be seen, but
  // the next segment tells how far this one went.
  void note_lost_end(const Scan& s, std::uint64_t next_id) {
    const std::uint64_t lost = s.tail == 0 && next_id > s.next ? s.stale : s.tail;
    if (lost == 0) return;
    ++report_.damaged_regions;
    report_.damaged_bytes += lost;
    log_->error("journal file {}: {} damaged bytes after offset {}; the file is kept",
                path_of(s.info.key), lost, s.block_end);
  }

  // A killed process leaves blocks that were written and never synced. They are processed from now
  // on, so a power cut must not take them away any more.
  void make_durable() {
    for (const Scan& s : scans_) {
      if (s.info.last_sequence == 0) continue;
      const auto file = io_.open(path_of(s.info.key), io::OpenMode::write_existing);
      io::Errno error = file ? 0 : file.error();
      if (file) {
        if (const auto synced = io_.sync(*file); !synced) error = synced.error();
        io_.close_file(*file);
      }
      if (error != 0) {
        log_->error("journal file {}: cannot be synced: {}", path_of(s.info.key),
                    errno_text(error));
      }
    }
    if (scans_.empty()) return;
    if (const auto synced = io_.sync_directory(directory_); !synced) {
      log_->error("the journal directory {} cannot be synced: {}", directory_,
                  errno_text(synced.error()));
    }
  }

  void cut(Scan& s) {
    if (s.tail > 0) ++report_.torn_segments;
    report_.torn_bytes += s.tail;
    const auto file = io_.open(path_of(s.info.key), io::OpenMode::write_existing);
    io::Errno error = file ? 0 : file.error();
    if (file) {
      error = cut_file(*file, s);
      if (const auto synced = io_.sync(*file); error == 0 && !synced) error = synced.error();
      io_.close_file(*file);
    }
    if (error != 0) {
      log_->error("journal file {}: cannot cut {} unfinished bytes: {}", path_of(s.info.key),
                  s.tail, errno_text(error));
      return;
    }
    s.info.file_bytes = s.info.bytes;
    if (s.tail == 0) return;
    log_->warn("journal file {}: cut {} bytes of a commit that was never finished, after offset {}",
               path_of(s.info.key), s.tail, s.block_end);
  }

  // What is cut off may share a page with the last good block: that page is filled up with zeros.
  io::Errno cut_file(io::FileId file, const Scan& s) {
    auto cut = io_.truncate(file, s.block_end);
    if (cut) cut = io_.truncate(file, s.info.bytes);
    return cut ? 0 : cut.error();
  }

  io::Io& io_;
  const std::string& directory_;
  const Log& log_;
  SegmentReader reader_;
  std::vector<Scan> scans_;
  std::uint64_t next_ = 1;
  RecoveryReport report_;
};

}  // namespace

Result<RecoveryReport, std::string> recover_segments(io::Io& io, const std::string& directory,
                                                     const Log& log) {
  return Scanner(io, directory, log).run();
}

}  // namespace tocsin::journal
