#include "stages/ledger/outcome_log.hpp"

#include <algorithm>

namespace tocsin::ledger {
namespace {

constexpr std::string_view mask = "***";
constexpr std::size_t text_size_max = 256;

bool is_number(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || c == '+' || c == ' ' || c == '-' || c == '(' || c == ')';
  });
}

}  // namespace

std::string redact_recipient(std::string_view recipient) {
  recipient = recipient.substr(0, text_size_max);
  std::string safe;
  if (const auto scheme = recipient.find("://"); scheme != recipient.npos) {
    const auto host = recipient.substr(scheme + 3);
    const auto authority = host.substr(0, host.find_first_of("/?#"));
    const auto at = authority.rfind('@');  // Credentials stand before it.
    safe += recipient.substr(0, scheme + 3);
    safe += at == authority.npos ? authority : authority.substr(at + 1);
    if (authority.size() < host.size()) safe.append("/").append(mask);
    return safe;
  }
  if (const auto at = recipient.rfind('@'); at != recipient.npos) {
    safe += recipient.substr(0, std::min<std::size_t>(1, at));
    safe.append(mask).append(recipient.substr(at));
    return safe;
  }
  if (is_number(recipient)) {
    safe += mask;
    if (recipient.size() > 4) safe += recipient.substr(recipient.size() - 2);
    return safe;
  }
  if (recipient.size() > 4) safe += recipient.substr(0, 4);
  if (!recipient.empty()) safe += mask;
  return safe;
}

OutcomeLog::OutcomeLog(std::size_t capacity) : ring_(capacity) {}

void OutcomeLog::add(const OutcomeReport& report) noexcept {
  counts_[static_cast<std::size_t>(report.outcome)].add();
  if (ring_.empty()) return;
  const std::string recipient = redact_recipient(report.recipient);
  const std::lock_guard lock(mutex_);
  OutcomeRecord& record = ring_[static_cast<std::size_t>(last_number_ % ring_.size())];
  record.number = ++last_number_;
  record.id = report.id;
  record.rule = report.rule.substr(0, text_size_max);
  record.channel = report.channel.substr(0, text_size_max);
  record.recipient = recipient;
  record.outcome = report.outcome;
  record.error = report.error.substr(0, text_size_max);
  record.attempts = report.attempts;
}

std::vector<OutcomeRecord> OutcomeLog::list(std::size_t count, std::uint64_t before) const {
  std::vector<OutcomeRecord> found;
  const std::lock_guard lock(mutex_);
  const std::uint64_t oldest = last_number_ > ring_.size() ? last_number_ - ring_.size() : 0;
  std::uint64_t number = std::min(last_number_, before == 0 ? 0 : before - 1);
  for (; number > oldest && found.size() < count; --number) {
    found.push_back(ring_[static_cast<std::size_t>((number - 1) % ring_.size())]);
  }
  return found;
}

}  // namespace tocsin::ledger
