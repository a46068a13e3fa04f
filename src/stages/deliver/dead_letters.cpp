#include "stages/deliver/dead_letters.hpp"

#include <cassert>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "protocol/json/text.hpp"

namespace tocsin::deliver {
namespace {

void append_text(std::string& line, std::string_view key, std::string_view value) {
  line += ",\"";
  line += key;
  line += "\":";
  json::append_string(line, value);
}

std::string make_line(const flow::Notification& n, DeliveryError reason, std::string_view detail,
                      WallTime now) {
  std::string line =
      fmt::format(R"({{"id":"{}","event_id":"{}","sequence":{},"attempts":{},"time_us":{})",
                  view(uuid_text(n.id.hi, n.id.lo)), view(uuid_text(n.event_id.hi, n.event_id.lo)),
                  n.sequence, n.attempts, to_us(now));
  append_text(line, "reason", to_string(reason));
  append_text(line, "detail", detail);
  append_text(line, "channel", n.channel);
  append_text(line, "rule", n.rule);
  append_text(line, "recipient", n.recipient);
  append_text(line, "subject", n.subject);
  append_text(line, "body", n.body);
  line += "}\n";
  return line;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

}  // namespace

DeadLetters::DeadLetters(io::Io& io, Log log, std::string path, std::uint64_t size_max)
    : io_(io), log_(std::move(log)), path_(std::move(path)), size_max_(size_max) {}

DeadLetters::~DeadLetters() {
  assert(!writing_);
  if (open_) io_.close_file(file_);
}

void DeadLetters::add(const flow::Notification& notification, DeliveryError reason,
                      std::string_view detail) {
  if (path_.empty()) return;
  const std::string line = make_line(notification, reason, detail, io_.wall_now());
  if (pending_.size() + line.size() > pending_max) return lost_.add();
  pending_ += line;
  ++pending_lines_;
  if (notification.range == nullptr) return;
  notification.range->retain();
  pending_ranges_.push_back(notification.range);
}

bool DeadLetters::open() {
  if (open_) return true;
  const auto file = io_.open(path_, io::OpenMode::create_or_open);
  if (!file) {
    lose_pending(file.error());
    return false;
  }
  file_ = *file;
  open_ = true;
  const auto size = io_.size(file_);
  offset_ = size ? *size : 0;
  // A new file's name must survive a power cut too.
  if (offset_ == 0) {
    const std::size_t slash = path_.rfind('/');
    const auto synced =
        io_.sync_directory(slash == std::string::npos ? "." : path_.substr(0, slash + 1));
    if (!synced) log_->warn("cannot sync the directory of {}: error {}", path_, synced.error());
  }
  // A crash can have cut the last line: without a line break it would spoil the next one too.
  std::byte last{};
  const bool torn =
      offset_ > 0 && io_.read(file_, std::span{&last, 1}, offset_ - 1) && last != std::byte{'\n'};
  if (torn) pending_.insert(0, 1, '\n');
  return true;
}

void DeadLetters::rotate() {
  io_.close_file(file_);
  open_ = false;
  const auto renamed = io_.rename(path_, path_ + ".1");
  if (!renamed) {
    log_->warn("cannot rotate {}: error {}", path_, renamed.error());
    return;
  }
  dropped_.add(rotated_lines_);
  rotated_lines_ = std::exchange(current_lines_, 0);
}

void DeadLetters::flush() {
  if (writing_ || pending_.empty()) return;
  if (!open()) return;
  if (offset_ > 0 && offset_ + pending_.size() > size_max_) {
    rotate();
    if (!open()) return;
  }
  in_write_.swap(pending_);
  pending_.clear();
  writing_lines_ = std::exchange(pending_lines_, 0);
  writing_ranges_.swap(pending_ranges_);
  writing_ = true;
  io_.write_and_sync(file_, bytes_of(in_write_), offset_, *this);
}

void DeadLetters::on_file_done(io::Errno error) noexcept {
  assert(writing_);
  writing_ = false;
  settle(writing_ranges_);
  if (error != 0) {
    lost_.add(writing_lines_);
    if (!std::exchange(complained_, true)) {
      log_->error("cannot write {}: error {}", path_, error);
    }
    return;
  }
  complained_ = false;
  offset_ += in_write_.size();
  written_.add(writing_lines_);
  current_lines_ += writing_lines_;
}

void DeadLetters::lose_pending(io::Errno error) {
  if (!std::exchange(complained_, true)) log_->error("cannot open {}: error {}", path_, error);
  lost_.add(std::exchange(pending_lines_, 0));
  pending_.clear();
  settle(pending_ranges_);
}

void DeadLetters::settle(std::vector<flow::SettlementRange*>& ranges) {
  for (flow::SettlementRange* range : ranges) range->settle();
  ranges.clear();
}

void DeadLetters::describe(MetricSink& sink) const {
  sink.counter("tocsin_dead_letters_written_total", "Lines written to the dead-letter file.", {},
               written_.get());
  sink.counter("tocsin_dead_letters_lost_total",
               "Dead letters that could not be written: the disk failed or was too slow.", {},
               lost_.get());
  sink.counter("tocsin_dead_letters_dropped_total",
               "Dead letters of this process that a second rotation removed.", {}, dropped_.get());
}

}  // namespace tocsin::deliver
