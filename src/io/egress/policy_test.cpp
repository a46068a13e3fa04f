// Goal: FAULTS X19: no address form leads inside unless it is listed.
#include "io/egress/policy.hpp"

#include <gtest/gtest.h>

namespace tocsin::io {
namespace {

Endpoint at(std::string_view text) {
  const auto endpoint = parse_address(text, 443);
  EXPECT_TRUE(endpoint.has_value()) << text;
  return endpoint.value_or(Endpoint{});
}

TEST(EgressPolicy, RefusesEverythingThatIsNotPublic) {
  const EgressPolicy policy;
  for (const char* address : {"127.0.0.1",
                              "127.255.255.254",
                              "0.0.0.0",
                              "10.1.2.3",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "100.127.255.255",
                              "198.18.0.1",
                              "192.0.2.1",
                              "224.0.0.1",
                              "255.255.255.255",
                              "::1",
                              "::",
                              "fe80::1",
                              "fc00::1",
                              "fd12:3456::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::ffff:169.254.169.254",
                              "64:ff9b::7f00:1",
                              "2002:7f00:1::",
                              "2001:db8::1",
                              "2001::1",
                              "::7f00:1"}) {
    EXPECT_FALSE(policy.permits(at(address))) << address;
  }
}

TEST(EgressPolicy, PermitsPublicAddresses) {
  const EgressPolicy policy;
  for (const char* address : {"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.169.0.1",
                              "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"}) {
    EXPECT_TRUE(policy.permits(at(address))) << address;
  }
}

TEST(EgressPolicy, ListedNetworksArePermitted) {
  const EgressPolicy policy(
      {*parse_network("127.0.0.0/8"), *parse_network("fd00::/8"), *parse_network("10.9.8.7")});
  EXPECT_TRUE(policy.permits(at("127.0.0.1")));
  EXPECT_TRUE(policy.permits(at("::ffff:127.0.0.1")));
  EXPECT_TRUE(policy.permits(at("fd00::5")));
  EXPECT_TRUE(policy.permits(at("10.9.8.7")));
  EXPECT_FALSE(policy.permits(at("10.9.8.8")));
}

TEST(EgressPolicy, NetworksAreParsedStrictly) {
  for (const char* bad :
       {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "010.0.0.1", "a/8"}) {
    EXPECT_FALSE(parse_network(bad).has_value()) << bad;
  }
}

TEST(EgressPolicy, AmbiguousHostsAreRefused) {
  for (const char* bad : {"", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1",
                          "1.2.3.4.5", "a..b", ".a", "user@host", "a b", "host\r\n", "a/b"}) {
    EXPECT_FALSE(host_acceptable(bad)) << bad;
  }
  for (const char* good :
       {"localhost", "example.com", "example.com.", "a-b.c1", "127.0.0.1", "::1"}) {
    EXPECT_TRUE(host_acceptable(good)) << good;
  }
}

}  // namespace
}  // namespace tocsin::io
