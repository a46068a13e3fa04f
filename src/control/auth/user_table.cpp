#include "control/auth/user_table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace tocsin::auth {
namespace {

Result<std::vector<TopicPattern>, std::string> compile_all(const std::vector<std::string>& texts) {
  std::vector<TopicPattern> patterns;
  for (const std::string& text : texts) {
    auto pattern = TopicPattern::compile(text);
    if (!pattern) return Unexpected{fmt::format("\"{}\": {}", text, pattern.error())};
    patterns.push_back(std::move(*pattern));
  }
  return patterns;
}

// The first bytes of a hash tell an attacker nothing: he cannot find a token that has a given one.
std::uint64_t head_of(const TokenHash& hash) noexcept {
  std::uint64_t head = 0;
  std::memcpy(&head, hash.data(), sizeof head);
  return head;
}

}  // namespace

bool UserIdentity::allows(flow::Access access, std::string_view topic,
                          std::string_view client_id) const noexcept {
  if (revoked()) return false;
  if (unrestricted_) return true;
  const Substitutes values{.client_id = client_id, .user = name_};
  if (access == flow::Access::publish) {
    return std::ranges::any_of(publish_, [&](const auto& p) { return p.matches(topic, values); });
  }
  return std::ranges::any_of(subscribe_, [&](const auto& p) { return p.covers(topic, values); });
}

Result<std::shared_ptr<const UserTable>, UserTable::Problem> UserTable::build(
    const AuthOptions& options, const std::vector<UserConfig>& users) {
  auto table = std::make_shared<UserTable>();
  for (std::size_t i = 0; i < users.size(); ++i) {
    if (auto problem = table->add(users[i], i, options)) return Unexpected{std::move(*problem)};
  }
  if (auto problem = table->set_anonymous(options)) return Unexpected{std::move(*problem)};
  table->make_decoy();
  return std::shared_ptr<const UserTable>(std::move(table));
}

std::optional<UserTable::Problem> UserTable::set_credentials(User& user, const UserConfig& config,
                                                             std::size_t index,
                                                             const AuthOptions& options) {
  if (!config.password_hash.empty()) {
    const auto cost = parse_password_hash(config.password_hash);
    if (!cost) return Problem{index, "password_hash", cost.error()};
    if (cost->memory_bytes > options.hash_memory_max) {
      return Problem{index, "password_hash",
                     fmt::format("takes {} KiB to check, more than auth.hash_memory_max",
                                 cost->memory_bytes / 1024)};
    }
    user.password_hash = config.password_hash;
    user.cost = *cost;
  }
  if (!config.token_hash.empty()) {
    user.token = parse_token_hash(config.token_hash);
    if (!user.token) {
      return Problem{index, "token_hash", "is not a token hash as `tocsin token` prints it"};
    }
    if (find_token(*user.token) != nullptr) {
      return Problem{index, "token_hash", "is also that of another user"};
    }
    by_token_[head_of(*user.token)].push_back(index);
  }
  user.certificate_name = config.certificate_name;
  if (!config.certificate_name.empty() &&
      !by_certificate_.emplace(config.certificate_name, index).second) {
    return Problem{index, "certificate_name", "is also that of another user"};
  }
  return std::nullopt;
}

std::optional<UserTable::Problem> UserTable::add(const UserConfig& config, std::size_t index,
                                                 const AuthOptions& options) {
  if (!by_name_.emplace(config.name, index).second) {
    return Problem{index, "name", fmt::format("\"{}\" is used twice", config.name)};
  }
  User user;
  user.active = config.active;
  if (auto problem = set_credentials(user, config, index, options)) return problem;
  auto publish = compile_all(config.publish);
  if (!publish) return Problem{index, "publish", publish.error()};
  auto subscribe = compile_all(config.subscribe);
  if (!subscribe) return Problem{index, "subscribe", subscribe.error()};
  user.identity =
      std::make_shared<UserIdentity>(config.name, std::move(*publish), std::move(*subscribe));
  users_.push_back(std::move(user));
  return std::nullopt;
}

std::optional<UserTable::Problem> UserTable::set_anonymous(const AuthOptions& options) {
  auto publish = compile_all(options.anonymous_publish);
  if (!publish) return Problem{Problem::no_user, "anonymous_publish", publish.error()};
  auto subscribe = compile_all(options.anonymous_subscribe);
  if (!subscribe) return Problem{Problem::no_user, "anonymous_subscribe", subscribe.error()};
  if (!has_users()) {
    anonymous_ = UserIdentity::unrestricted();
  } else if (options.allow_anonymous) {
    anonymous_ = std::make_shared<UserIdentity>("", std::move(*publish), std::move(*subscribe));
  }
  return std::nullopt;
}

void UserTable::make_decoy() {
  const auto dearest = std::ranges::max_element(users_, {}, [](const User& user) {
    return user.cost.memory_bytes * std::max(user.cost.passes, 1U);
  });
  if (dearest == users_.end() || dearest->password_hash.empty()) return;
  decoy_ = decoy_of(dearest->password_hash);
  decoy_cost_ = dearest->cost;
}

const User* UserTable::find(std::string_view name) const noexcept {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &users_[it->second];
}

const User* UserTable::find_certificate(std::string_view name) const noexcept {
  const auto it = by_certificate_.find(name);
  return it == by_certificate_.end() ? nullptr : &users_[it->second];
}

const User* UserTable::find_token(const TokenHash& hash) const noexcept {
  const auto it = by_token_.find(head_of(hash));
  if (it == by_token_.end()) return nullptr;
  for (const std::size_t index : it->second) {
    if (index < users_.size() && same(*users_[index].token, hash)) return &users_[index];
  }
  return nullptr;
}

void UserTable::succeed(const UserTable& before) const {
  for (const User& old : before.users_) {
    const User* const now = find(old.identity->user());
    if (now != nullptr && now->active && old.active && now->identity->same_rights(*old.identity)) {
      now->identity->succeed(*old.identity);
    } else {
      old.identity->revoke();
    }
  }
  if (before.anonymous_ == nullptr) return;
  // Who came in while there were no users may do everything, and must not keep that.
  if (anonymous_ != nullptr && anonymous_->same_rights(*before.anonymous_)) {
    anonymous_->succeed(*before.anonymous_);
  } else {
    before.anonymous_->revoke();
  }
}

}  // namespace tocsin::auth
