#pragma once
// Changes of sessions that wait for the disk, by what they change: a later change replaces an
// earlier one, and what was put and removed again leaves nothing.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flow/session_store.hpp"

namespace tocsin::sessions {

enum class ChangeKind : std::uint8_t { none, put, remove };

/// A copy of bytes, made before the lock is taken.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::string_view text);
  [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
};

struct MessageChange {
  std::uint64_t ordinal = 0;
  Bytes bytes;
  flow::SettlementRange* range = nullptr;
  ChangeKind kind = ChangeKind::none;
};

/// Messages of one client, ascending by ordinal; those of kind `none` were cancelled.
class MessageChanges {
 public:
  [[nodiscard]] MessageChange* find(std::uint64_t ordinal) noexcept;
  /// Only for an ordinal that find() does not find.
  MessageChange& add(std::uint64_t ordinal);
  void cancel(MessageChange& change) noexcept;
  [[nodiscard]] const std::vector<MessageChange>& list() const noexcept { return list_; }
  [[nodiscard]] std::vector<MessageChange>& list() noexcept { return list_; }
  [[nodiscard]] std::size_t live() const noexcept { return list_.size() - cancelled_; }
  void clear() noexcept;

 private:
  std::vector<MessageChange> list_;
  std::size_t cancelled_ = 0;
};

struct SubscriptionChange {
  ChangeKind kind = ChangeKind::none;
  std::uint8_t options = 0;
  std::uint32_t identifier = 0;
};

/// Everything that happened to one client since the last batch was taken.
struct ClientChanges {
  std::string client_id;
  bool clear_first = false;  ///< What is stored is removed before the rest is applied.
  bool put_session = false;
  std::uint32_t expiry_s = 0;
  std::int64_t disconnected_wall_us = 0;
  std::string state;
  std::map<std::string, SubscriptionChange, std::less<>> subscriptions;
  MessageChanges messages;
  std::size_t bytes = 0;  ///< As accounted, with this entry itself.
  std::size_t count = 0;  ///< Changes.

  [[nodiscard]] bool empty() const noexcept {
    return !clear_first && !put_session && subscriptions.empty() && messages.live() == 0;
  }
};

struct RetainedChange {
  Bytes bytes;  ///< Empty: remove.
  flow::SettlementRange* range = nullptr;
};

/// What one commit writes.
struct ChangeBatch {
  std::deque<ClientChanges> clients;  ///< A deque: they must not move. Some may be empty.
  std::map<std::string, RetainedChange, std::less<>> retained;
  std::size_t bytes = 0;  ///< As accounted.
  std::size_t count = 0;  ///< Changes; 0: nothing to write.

  /// Durable: everybody who waits may go on.
  void settle() noexcept;
};

/// Ranges that need not wait any longer. Settled outside of the lock.
class Released {
 public:
  void add(flow::SettlementRange* range) {
    if (range == nullptr) return;
    if (first_ == nullptr) {
      first_ = range;
    } else {
      more_.push_back(range);
    }
  }
  void settle() noexcept {
    if (first_ != nullptr) first_->settle();
    for (flow::SettlementRange* range : more_) range->settle();
    first_ = nullptr;
    more_.clear();
  }

 private:
  flow::SettlementRange* first_ = nullptr;  // Nearly always there is one at most.
  std::vector<flow::SettlementRange*> more_;
};

}  // namespace tocsin::sessions
