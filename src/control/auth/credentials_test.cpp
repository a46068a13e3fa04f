// Password and token hashes: what is accepted as one, and that only the right secret fits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/auth/password_hash.hpp"
#include "control/auth/token.hpp"

namespace tocsin::auth {
namespace {

constexpr HashCost cheap{.memory_bytes = 8 * 1024, .passes = 1};

TEST(PasswordHash, FitsItsPasswordOnly) {
  const auto hash = hash_password("correct horse", cheap);
  ASSERT_TRUE(hash);
  const auto cost = parse_password_hash(*hash);
  ASSERT_TRUE(cost) << cost.error();
  EXPECT_EQ(cost->memory_bytes, cheap.memory_bytes);
  EXPECT_EQ(cost->passes, cheap.passes);
  EXPECT_EQ(verify_password(*hash, "correct horse"), PasswordCheck::fits);
  EXPECT_EQ(verify_password(*hash, "correct hors"), PasswordCheck::wrong);
  EXPECT_EQ(verify_password(*hash, ""), PasswordCheck::wrong);
  EXPECT_EQ(verify_password(*hash, std::string("correct horse\0", 14)), PasswordCheck::wrong);
  EXPECT_NE(*hash, *hash_password("correct horse", cheap)) << "the salt is random";
}

// A hash that another program made: the reference test vector of Argon2id is not in PHC form, so
// this one is from the argon2 command of the reference implementation, password "password".
TEST(PasswordHash, ReadsWhatOthersWrite) {
  const std::string hash =
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  ASSERT_TRUE(parse_password_hash(hash));
  EXPECT_EQ(verify_password(hash, "password"), PasswordCheck::fits);
  EXPECT_EQ(verify_password(hash, "Password"), PasswordCheck::wrong);
}

TEST(PasswordHash, ADecoyCostsTheSameAndFitsNothing) {
  const std::string hash = *hash_password("x", cheap);
  const std::string decoy = decoy_of(hash);
  ASSERT_TRUE(parse_password_hash(decoy));
  EXPECT_EQ(parse_password_hash(decoy)->memory_bytes, cheap.memory_bytes);
  EXPECT_EQ(verify_password(decoy, "x"), PasswordCheck::wrong);
  EXPECT_EQ(decoy.size(), hash.size());
}

TEST(PasswordHash, RefusesWhatIsNoneWithoutRepeatingIt) {
  const std::string salt = "c2FsdHNhbHRzYWx0c2FsdA";
  const std::string hash = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
  const std::string good = "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + hash;
  ASSERT_TRUE(parse_password_hash(good));
  for (const std::string& text :
       {std::string("hunter2-canary"), std::string(),
        "$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + hash,
        "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + hash,
        "$argon2id$v=19$m=08,t=1,p=1$" + salt + "$" + hash,
        "$argon2id$v=19$m=7,t=1,p=1$" + salt + "$" + hash,
        "$argon2id$v=19$m=8,t=1000,p=1$" + salt + "$" + hash,
        "$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + hash,
        "$argon2id$v=19$m=99999999999,t=1,p=1$" + salt + "$" + hash,
        "$argon2id$v=19$m=8,t=1,p=4$" + salt + "$" + hash,
        "$argon2id$v=19$m=8,t=1,p=1$short$" + hash, "$argon2id$v=19$m=8,t=1,p=1$" + salt,
        "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + hash + "$",
        "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$hunter2-canary", good + std::string(100, 'A')}) {
    const auto parsed = parse_password_hash(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error(), ::testing::Not(::testing::HasSubstr("canary")));
  }
}

TEST(Token, IsFoundByItsHash) {
  const std::string token = make_token();
  EXPECT_EQ(token.size(), 47U);
  EXPECT_NE(token, make_token());
  const TokenHash hash = hash_token(token);
  const auto parsed = parse_token_hash(to_string(hash));
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(same(*parsed, hash));
  EXPECT_FALSE(same(*parsed, hash_token(token + "x")));
  for (const std::string& text :
       {std::string(), std::string("blake2b:"), to_string(hash) + "00",
        "sha256:" + to_string(hash).substr(8), to_string(hash).substr(0, 70) + "zz"}) {
    EXPECT_FALSE(parse_token_hash(text)) << text;
  }
}

}  // namespace
}  // namespace tocsin::auth
