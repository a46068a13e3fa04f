#pragma once
// All users as one immutable lookup structure; a reload makes a new one.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tocsin/result.hpp>

#include "control/auth/options.hpp"
#include "control/auth/password_hash.hpp"
#include "control/auth/token.hpp"
#include "control/auth/topic_pattern.hpp"
#include "flow/access.hpp"

namespace tocsin::auth {

/// One user's name and rights. Lives as long as a connection acts in its name.
class UserIdentity final : public flow::Identity {
 public:
  UserIdentity(std::string name, std::vector<TopicPattern> publish,
               std::vector<TopicPattern> subscribe)
      : name_(std::move(name)), publish_(std::move(publish)), subscribe_(std::move(subscribe)) {}

  /// Of every client while there are no users.
  [[nodiscard]] static std::shared_ptr<UserIdentity> unrestricted() {
    auto identity = std::make_shared<UserIdentity>("", std::vector<TopicPattern>{},
                                                   std::vector<TopicPattern>{});
    identity->unrestricted_ = true;
    return identity;
  }

  [[nodiscard]] std::string_view user() const noexcept override { return name_; }
  [[nodiscard]] bool allows(flow::Access access, std::string_view topic,
                            std::string_view client_id) const noexcept override;
  [[nodiscard]] bool revoked() const noexcept override {
    return revoked_->load(std::memory_order_relaxed);
  }
  void revoke() const noexcept { revoked_->store(true, std::memory_order_relaxed); }
  /// Shares the revocation of an earlier identity of the same user. Before anybody else sees it.
  void succeed(const UserIdentity& earlier) { revoked_ = earlier.revoked_; }
  /// The same rights, whatever the name.
  [[nodiscard]] bool same_rights(const UserIdentity& other) const {
    return unrestricted_ == other.unrestricted_ && publish_ == other.publish_ &&
           subscribe_ == other.subscribe_;
  }

 private:
  std::string name_;
  std::vector<TopicPattern> publish_;
  std::vector<TopicPattern> subscribe_;
  bool unrestricted_ = false;
  // Shared by the identities that a user had over reloads, until he is gone or has other rights.
  std::shared_ptr<std::atomic<bool>> revoked_ = std::make_shared<std::atomic<bool>>(false);
};

struct User {
  std::string password_hash;  ///< Empty: has none.
  HashCost cost;
  std::optional<TokenHash> token;
  std::string certificate_name;
  bool active = true;
  std::shared_ptr<UserIdentity> identity;
};

class UserTable {
 public:
  struct Problem {
    static constexpr std::size_t no_user = SIZE_MAX;
    std::size_t user = no_user;  ///< Index; or the problem is one of [auth].
    std::string key;
    std::string message;  ///< Holds no secret.
  };
  [[nodiscard]] static Result<std::shared_ptr<const UserTable>, Problem> build(
      const AuthOptions& options, const std::vector<UserConfig>& users);

  [[nodiscard]] const User* find(std::string_view name) const noexcept;
  [[nodiscard]] const User* find_token(const TokenHash& hash) const noexcept;
  [[nodiscard]] const User* find_certificate(std::string_view name) const noexcept;

  /// False: nobody authenticates, every client is anonymous.
  [[nodiscard]] bool has_users() const noexcept { return !users_.empty(); }
  /// Null when anonymous clients may not connect.
  [[nodiscard]] std::shared_ptr<const flow::Identity> anonymous() const noexcept {
    return anonymous_;
  }
  /// What is checked for a user who does not exist; empty when no user has a password.
  [[nodiscard]] const std::string& decoy() const noexcept { return decoy_; }
  [[nodiscard]] const HashCost& decoy_cost() const noexcept { return decoy_cost_; }

  /// Takes the place of `before`: users that both have with the same rights keep their revocation,
  /// the others of `before` are revoked, so that who was let in by other rights comes again and is
  /// checked by those of now. Once, before anybody else sees this table.
  void succeed(const UserTable& before) const;

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept {
      return std::hash<std::string_view>{}(name);
    }
  };
  using Index = std::unordered_map<std::string, std::size_t, NameHash, std::equal_to<>>;

  [[nodiscard]] std::optional<Problem> add(const UserConfig& config, std::size_t index,
                                           const AuthOptions& options);
  [[nodiscard]] std::optional<Problem> set_anonymous(const AuthOptions& options);
  [[nodiscard]] std::optional<Problem> set_credentials(User& user, const UserConfig& config,
                                                       std::size_t index,
                                                       const AuthOptions& options);
  void make_decoy();

  std::vector<User> users_;
  Index by_name_;
  Index by_certificate_;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> by_token_;
  std::shared_ptr<UserIdentity> anonymous_;
  std::string decoy_;
  HashCost decoy_cost_;
};

}  // namespace tocsin::auth
