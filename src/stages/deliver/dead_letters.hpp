#pragma once
// The dead-letter file: one JSON object a line for each notification that was given up, bounded by
// one rotation. Written through the loop's Io; one instance per file.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tocsin/channel.hpp>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "flow/notification.hpp"
#include "io/io.hpp"

namespace tocsin::deliver {

class DeadLetters final : public io::FileHandler {
 public:
  /// `path` rotates to `path`.1 when it would exceed `size_max` bytes. An empty path writes
  /// nothing.
  DeadLetters(io::Io& io, Log log, std::string path, std::uint64_t size_max);
  /// Not while busy().
  ~DeadLetters();
  DeadLetters(const DeadLetters&) = delete;
  DeadLetters& operator=(const DeadLetters&) = delete;

  /// Copies the line; writing starts with the next flush(). Until the line is on the disk (or
  /// lost), the notification's range is not settled: a crash processes the event again instead of
  /// forgetting it. When the disk is so slow that `pending_max` bytes wait already, the line is
  /// lost and counted.
  void add(const flow::Notification& notification, DeliveryError reason, std::string_view detail);
  /// Starts writing what waits, unless a write is under way. Once a turn.
  void flush();
  [[nodiscard]] bool busy() const noexcept { return writing_ || !pending_.empty(); }

  void describe(MetricSink& sink) const;
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.get(); }

  void on_file_done(io::Errno error) noexcept override;

  static constexpr std::size_t pending_max = 1 << 20;

 private:
  [[nodiscard]] bool open();
  void rotate();
  void lose_pending(io::Errno error);
  static void settle(std::vector<flow::SettlementRange*>& ranges);

  io::Io& io_;
  Log log_;
  std::string path_;
  std::uint64_t size_max_;
  io::FileId file_{};
  bool open_ = false;
  bool writing_ = false;
  bool complained_ = false;
  std::uint64_t offset_ = 0;
  std::uint32_t pending_lines_ = 0;
  std::uint32_t writing_lines_ = 0;
  std::string pending_;
  std::string in_write_;
  std::vector<flow::SettlementRange*> pending_ranges_;
  std::vector<flow::SettlementRange*> writing_ranges_;
  std::uint64_t current_lines_ = 0;  // Of this process; earlier ones are not counted.
  std::uint64_t rotated_lines_ = 0;
  Counter written_;
  Counter lost_;
  Counter dropped_;
};

}  // namespace tocsin::deliver
