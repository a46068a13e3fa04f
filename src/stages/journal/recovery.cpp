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
  std::uint64_t tail = 0;       ///< Bytes behind the last good block that are not zero.
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
    std::vector<std::uint64_t> ids;
    for (const std::string& name : *names) {
      if (const auto id = parse_segment_name(name)) ids.push_back(*id);
    }
    std::sort(ids.begin(), ids.end());
    for (const std::uint64_t id : ids) {
      if (auto scanned = scan(id); !scanned) return Unexpected{std::move(scanned.error())};
    }
    cut_torn_end();
    make_durable();
    for (const Scan& s : scans_) report_.segments.push_back(s.info);
    return std::move(report_);
  }

 private:
  std::string path_of(std::uint64_t id) const { return directory_ + "/" + segment_name(id); }

  Result<void, std::string> scan(std::uint64_t id) {
    Scan& s = scans_.emplace_back();
    s.info.id = id;
    next_ = std::max(next_, id);
    if (const auto opened = reader_.open(path_of(id), id, UINT64_MAX); !opened) {
      note_unreadable(s, 0, opened.error());
      return {};
    }
    s.info.file_bytes = file_size(id);
    for (;;) {
      switch (reader_.next(next_)) {
        case SegmentReader::Step::block:
          take_block(s);
          continue;
        case SegmentReader::Step::newer:
          return Unexpected{fmt::format(
              "journal file {} holds a block of version {} at offset {}, and this program knows "
              "version {}: a newer Tocsin wrote it. Nothing was changed; start that version again",
              path_of(id), reader_.newer_version(), reader_.position(), flow::block_version)};
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
    s.tail = reader_.tail();
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
          path_of(s.info.id), reader_.skipped(), reader_.block_end(), next_,
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
    const std::uint64_t size = std::max(file_size(s.info.id), std::uint64_t{block_size_max});
    const std::uint64_t records = size / sizeof(RecordHeader) + 1;
    if (next_ < UINT64_MAX - records) next_ += records;
    report_.next_sequence = std::max(report_.next_sequence, next_);
    log_->error("journal file {}: cannot be read from offset {}: {}; the file is kept",
                path_of(s.info.id), offset, errno_text(error));
  }

  std::uint64_t file_size(std::uint64_t id) {
    const auto file = io_.open(path_of(id), io::OpenMode::read);
    if (!file) return 0;
    const auto size = io_.size(*file);
    io_.close_file(*file);
    return size ? *size : 0;
  }

  // A crash can leave unfinished commits in the last segment with blocks, and in empty ones that
  // were opened after it.
  void cut_torn_end() {
    bool at_end = true;
    for (std::size_t i = scans_.size(); i-- > 0;) {
      Scan& s = scans_[i];
      if (s.tail > 0 && !s.unreadable) {
        if (at_end) {
          cut(s);
        } else {
          ++report_.damaged_regions;
          report_.damaged_bytes += s.tail;
          log_->error("journal file {}: {} damaged bytes after offset {}; the file is kept",
                      path_of(s.info.id), s.tail, s.block_end);
        }
      }
      if (s.info.last_sequence != 0 || s.unreadable) at_end = false;
    }
  }

  // A killed process leaves blocks that were written and never synced. They are processed from now
  // on, so a power cut must not take them away any more.
  void make_durable() {
    for (const Scan& s : scans_) {
      if (s.info.last_sequence == 0) continue;
      const auto file = io_.open(path_of(s.info.id), io::OpenMode::write_existing);
      io::Errno error = file ? 0 : file.error();
      if (file) {
        if (const auto synced = io_.sync(*file); !synced) error = synced.error();
        io_.close_file(*file);
      }
      if (error != 0) {
        log_->error("journal file {}: cannot be synced: {}", path_of(s.info.id), errno_text(error));
      }
    }
    if (scans_.empty()) return;
    if (const auto synced = io_.sync_directory(directory_); !synced) {
      log_->error("the journal directory {} cannot be synced: {}", directory_,
                  errno_text(synced.error()));
    }
  }

  void cut(Scan& s) {
    ++report_.torn_segments;
    report_.torn_bytes += s.tail;
    const auto file = io_.open(path_of(s.info.id), io::OpenMode::write_existing);
    io::Errno error = file ? 0 : file.error();
    if (file) {
      error = cut_file(*file, s);
      if (const auto synced = io_.sync(*file); error == 0 && !synced) error = synced.error();
      io_.close_file(*file);
    }
    if (error != 0) {
      log_->error("journal file {}: cannot cut {} unfinished bytes: {}", path_of(s.info.id), s.tail,
                  errno_text(error));
      return;
    }
    s.info.file_bytes = s.info.bytes;
    log_->warn("journal file {}: cut {} bytes of a commit that was never finished, after offset {}",
               path_of(s.info.id), s.tail, s.block_end);
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
