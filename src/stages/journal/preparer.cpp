#include "stages/journal/preparer.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <utility>

namespace tocsin::journal {
namespace {
constexpr std::size_t chunk_size = 256 * 1024;
// At most 64 MB/s; a journal that grows faster is a matter for allocation.
constexpr Duration chunk_pause = std::chrono::milliseconds(4);
constexpr std::uint64_t size_first = std::uint64_t{4} << 20U;
constexpr std::uint64_t size_growth = 4;
constexpr std::uint32_t hurried_writes_max = 8;
}  // namespace

SegmentPreparer::SegmentPreparer(flow::Loop& loop, std::string directory, const Options& options)
    : loop_(loop),
      directory_(std::move(directory)),
      spare_path_(directory_ + "/" + std::string(spare_name)),
      size_max_(align_to_page(options.segment_size)),
      size_(std::min(size_first, size_max_)),
      delay_min_(std::chrono::milliseconds(options.retry_delay_ms)),
      delay_max_(std::chrono::milliseconds(options.retry_delay_ms_max)),
      zeros_(static_cast<std::size_t>(std::min<std::uint64_t>(chunk_size, size_))),
      delay_(delay_min_) {
  std::memset(zeros_.data(), 0, zeros_.size());
}

SegmentPreparer::~SegmentPreparer() {
  assert(quiet());
  loop_.disarm(*this);
  if (file_open_) loop_.io().close_file(file_);
}

void SegmentPreparer::start() {
  if (stopped_ || (state_ != State::idle && state_ != State::failed)) return;
  loop_.disarm(*this);
  io::Io& io = loop_.io();
  // A spare of an earlier run may be half written.
  static_cast<void>(io.remove(spare_path_));
  const auto file = io.open(spare_path_, io::OpenMode::create_new);
  if (!file) return fail(file.error());
  file_ = *file;
  file_open_ = true;
  adopted_ = false;
  // The page cache would cost a copy of every event, and keep what nobody reads again.
  io.write_directly(file_);
  next_ = 0;
  write_error_ = 0;
  state_ = State::filling;
  if (hurried_) return allocate_rest();
  fill();
}

bool SegmentPreparer::adopt(const std::string& path, std::uint64_t bytes) {
  if (stopped_ || state_ != State::idle || bytes != size_) return false;
  io::Io& io = loop_.io();
  if (!io.rename(path, spare_path_)) return false;
  // No sync: the one of the next name, before any block is written, covers this one too. A crash
  // until then leaves the file under either name, with its old blocks.
  const auto file = io.open(spare_path_, io::OpenMode::write_existing);
  if (!file) return true;  // start() deletes it.
  file_ = *file;
  file_open_ = adopted_ = true;
  io.write_directly(file_);
  state_ = State::ready;
  return true;
}

void SegmentPreparer::hurry() {
  if (std::exchange(hurried_, true) || state_ != State::filling) return;
  if (!stopped_ && write_error_ == 0) allocate_rest();
}

// What is left to write then is the last page, with the sync. Where nothing can be allocated, or a
// full disk refuses it, the rest is written, and those writes tell what is wrong.
void SegmentPreparer::allocate_rest() {
  loop_.disarm(*this);
  const std::uint64_t last_page = size_ - page_size;
  if (next_ < last_page && loop_.io().allocate(file_, size_)) next_ = last_page;
  fill();
}

void SegmentPreparer::fill() {
  const std::uint32_t writes_max = hurried_ ? hurried_writes_max : 1;
  while (pending_ < writes_max && next_ < size_) {
    const auto bytes = zeros_.span().first(
        static_cast<std::size_t>(std::min<std::uint64_t>(zeros_.size(), size_ - next_)));
    const bool last = next_ + bytes.size() == size_;
    // The sync must begin after all other writes have ended.
    if (last && pending_ > 0) return;
    const std::uint64_t offset = std::exchange(next_, next_ + bytes.size());
    ++pending_;
    if (last) {
      loop_.io().write_and_sync(file_, bytes, offset, *this);
    } else {
      loop_.io().write(file_, bytes, offset, *this);
    }
  }
}

void SegmentPreparer::on_file_done(io::Errno error) noexcept {
  if (state_ == State::naming) return finish_naming(error);
  assert(state_ == State::filling && pending_ > 0);
  --pending_;
  if (write_error_ == 0) write_error_ = error;
  if (write_error_ == 0 && !stopped_ && next_ < size_) {
    if (hurried_) return fill();
    return loop_.arm(*this, loop_.now() + chunk_pause);
  }
  if (pending_ == 0) finish_filling();
}

void SegmentPreparer::finish_filling() {
  if (write_error_ != 0) return fail(write_error_);
  state_ = next_ == size_ ? State::ready : State::idle;
}

void SegmentPreparer::on_timer(MonoTime) noexcept {
  if (state_ == State::filling) return fill();
  start();
}

void SegmentPreparer::fail(io::Errno error) noexcept {
  io::Io& io = loop_.io();
  if (file_open_) io.close_file(file_);
  file_open_ = false;
  // Above all when the disk is full: nothing half made may take up room.
  static_cast<void>(io.remove(spare_path_));
  state_ = State::failed;
  last_error_ = error;
  ++failures_;
  if (stopped_) return;
  loop_.arm(*this, loop_.now() + delay_);
  delay_ = std::min(delay_ * 2, delay_max_);
}

std::uint64_t SegmentPreparer::size_of_next(std::size_t ahead) const noexcept {
  std::uint64_t size = size_;
  for (; ahead > 0 && size < size_max_; --ahead) size *= size_growth;
  return std::min(size, size_max_);
}

void SegmentPreparer::name(const SegmentKey& key) {
  assert(state_ == State::ready);
  name_ = directory_ + "/" + segment_name(key);
  if (const auto renamed = loop_.io().rename(spare_path_, name_); !renamed) {
    return fail(renamed.error());
  }
  state_ = State::naming;
  // Without this the file, and every acknowledged event in it, could be gone after a power cut.
  loop_.io().begin_sync_directory(directory_, *this);
}

void SegmentPreparer::finish_naming(io::Errno error) noexcept {
  state_ = State::named;
  if (error == 0) return;
  static_cast<void>(loop_.io().remove(name_));
  fail(error);
}

io::FileId SegmentPreparer::take() noexcept {
  assert(state_ == State::named);
  file_open_ = false;
  state_ = State::idle;
  hurried_ = false;
  delay_ = delay_min_;
  size_ = size_of_next(1);
  return file_;
}

void SegmentPreparer::stop() noexcept {
  stopped_ = true;
  loop_.disarm(*this);
}

}  // namespace tocsin::journal
