#include <mobius/net.hpp>

#include "support/catch.hpp"

using mobius::net::socket_address;

TEST_CASE("an IPv4 literal becomes an address that prints as it was written") {
  const auto address = socket_address::parse("127.0.0.1", 80);
  REQUIRE(address.has_value());
  CHECK(address->to_string() == "127.0.0.1:80");
  CHECK(address->host() == "127.0.0.1");
  CHECK(address->port() == 80);
  CHECK(address->family() == AF_INET);
}

TEST_CASE("an IPv6 literal prints with brackets, and keeps its scope") {
  const auto loopback = socket_address::parse("::1", 443);
  REQUIRE(loopback.has_value());
  CHECK(loopback->to_string() == "[::1]:443");
  CHECK(loopback->family() == AF_INET6);
  const auto scoped = socket_address::parse("fe80::1%lo", 1);
  REQUIRE(scoped.has_value());
  CHECK(scoped->to_string() == "[fe80::1%lo]:1");
}

TEST_CASE("names and the old numeric forms of IPv4 are no literals") {
  for (const char* text : {"localhost", "127.1", "2130706433", "0x7f.1", "", "1.2.3.4.5", "256.1.1.1",
                           "::1::", "fe80::1%no_such_interface", "[::1]", "127.0.0.1 "}) {
    INFO(text);
    CHECK_FALSE(socket_address::parse(text, 1).has_value());
  }
}

TEST_CASE("addresses are equal when family, host and port are") {
  CHECK(*socket_address::parse("::1", 1) == *socket_address::parse("0:0::1", 1));
  CHECK_FALSE(*socket_address::parse("::1", 1) == *socket_address::parse("::1", 2));
  CHECK_FALSE(*socket_address::parse("127.0.0.1", 1) == *socket_address::parse("127.0.0.2", 1));
}

TEST_CASE("the address of something that is no socket is no address") {
  CHECK(socket_address::peer_of(-1).family() == AF_UNSPEC);
  CHECK(socket_address::local_of(-1).to_string() == "nowhere:0");
}
