#include <mobius/net/http/error.hpp>
#include <mobius/net/http/url.hpp>
#include <string>

#include "support/catch.hpp"

using mobius::http::invalid_url;
using mobius::http::parse_url;
using mobius::http::resolve;
using namespace std::string_literals;

namespace {

// The error text for a URL, or nothing when it is taken.
std::string refusal(std::string_view text) {
  try {
    parse_url(text);
    return {};
  } catch (const invalid_url& wrong) {
    return wrong.what();
  }
}

std::string resolved(std::string_view reference) {
  return resolve(parse_url("http://a/b/c/d;p?q"), reference).to_string();
}

}  // namespace

TEST_CASE("a URL that cannot be used is refused with its text, the fault and the remedy") {  // row 192
  const auto bad = GENERATE(
      as<std::string>{}, "a_bad_url", "", "http://", "http:///x", "http://a:99999/", "http://a:0/",
      "http://a:+80/", "http://a:b/", "http://a:18446744073709551696/", "http://a b/", "http://a/b c",
      " http://a/", "http://a/ ", "http://[::1/", "http://::1/", "http://[::1]x/", "http://[::g]/",
      "http://[127.0.0.1]/", "http://a/\r\nX:", "http://a/\tb", "http://a\0b/"s, "http://a/\x7f", "ftp://a/",
      "file:///etc/passwd", "javascript:alert(1)", "//a/", "/path", "http:a", "http:/a/", "://a/", "http//a/",
      "127.0.0.1:80", "localhost:80", "http://127.1/", "http://2130706433/", "http://0x7f000001/",
      "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://1.2.3.4.5/", "http://256.1.1.1/",
      "http://user@a/", "http://user:pass@a/", "http://a@b@c/", "http://.a/", "http://a..b/", "http://a/%zz",
      "http://a/%4", "http://a/?%", "http://a/<b>", "http://a/\\b", "http://\xc3\xa9.example/",
      "http://a/\xc3\xa9", "http://a,b/", "http://a%41/", "http://./");
  INFO("URL " << bad);
  const auto text = refusal(bad);
  CHECK_THAT(text, Catch::Matchers::StartsWith("invalid URL \""));
  CHECK_THAT(text, Catch::Matchers::Contains("http://example.org:8080/path?query"));
}

TEST_CASE("the refusal of a URL names what is wrong with it") {
  CHECK_THAT(refusal("a_bad_url"),
             Catch::Matchers::Contains("\"a_bad_url\": it does not begin with http://"));
  CHECK_THAT(refusal(""), Catch::Matchers::Contains("it is empty"));
  CHECK_THAT(refusal("http://"), Catch::Matchers::Contains("the host is missing"));
  CHECK_THAT(refusal("http://a:99999/"),
             Catch::Matchers::Contains("the port is not a number from 1 to 65535"));
  CHECK_THAT(refusal("http://[::1/"), Catch::Matchers::Contains("never closed"));
  CHECK_THAT(refusal("ftp://a/"), Catch::Matchers::Contains("neither http nor https"));
  CHECK_THAT(refusal("http://127.1/"), Catch::Matchers::Contains("four decimal numbers"));
  CHECK_THAT(refusal("http://a/\r\nX:"), Catch::Matchers::Contains("\\x0d\\x0aX:"));
}

TEST_CASE("the refusal of a URL does not repeat its password") {
  const auto text = refusal("http://root:secret@a/");
  CHECK_THAT(text, !Catch::Matchers::Contains("secret"));
  CHECK_THAT(text, Catch::Matchers::Contains("http://***@a/"));
}

TEST_CASE("an invalid URL is an http::error") { CHECK_THROWS_AS(parse_url("x"), mobius::http::error); }

TEST_CASE("a URL is taken apart into what a request needs") {
  const auto url = parse_url("HTTP://Example.ORG:8080/a/b?c=d#fragment");
  CHECK(url.scheme() == "http");
  CHECK_FALSE(url.secure());
  CHECK(url.host() == "example.org");
  CHECK(url.port() == 8080);
  CHECK(url.target() == "/a/b?c=d");
  CHECK(url.path() == "/a/b");
  CHECK(url.query() == "c=d");
  CHECK(url.authority() == "example.org:8080");
  CHECK(url.to_string() == "http://example.org:8080/a/b?c=d");
}

TEST_CASE("a URL without port and path has the port of its scheme and the path /") {
  CHECK(parse_url("http://a").port() == 80);
  CHECK(parse_url("https://a").port() == 443);
  CHECK(parse_url("https://a").secure());
  CHECK(parse_url("http://a").target() == "/");
  CHECK(parse_url("http://a?q").target() == "/?q");
  CHECK(parse_url("http://a#f").target() == "/");
  CHECK(parse_url("http://a:/").port() == 80);
  CHECK(parse_url("https://a:443/").authority() == "a");
  CHECK(parse_url("http://a:443/").authority() == "a:443");
}

TEST_CASE("an address may stand in a URL, IPv6 in brackets") {
  const auto six = parse_url("http://[2001:DB8::1]:81/x");
  CHECK(six.host() == "2001:db8::1");
  CHECK(six.port() == 81);
  CHECK(six.authority() == "[2001:db8::1]:81");
  CHECK(six.to_string() == "http://[2001:db8::1]:81/x");
  CHECK(parse_url("http://127.0.0.1/").host() == "127.0.0.1");
  CHECK(parse_url("http://a.1b/").host() == "a.1b");
}

TEST_CASE("a reference is resolved as RFC 3986 5.4 lists it") {
  CHECK(resolved("g") == "http://a/b/c/g");
  CHECK(resolved("./g") == "http://a/b/c/g");
  CHECK(resolved("g/") == "http://a/b/c/g/");
  CHECK(resolved("/g") == "http://a/g");
  CHECK(resolved("//g") == "http://g/");
  CHECK(resolved("?y") == "http://a/b/c/d;p?y");
  CHECK(resolved("g?y") == "http://a/b/c/g?y");
  CHECK(resolved("#s") == "http://a/b/c/d;p?q");
  CHECK(resolved("g#s") == "http://a/b/c/g");
  CHECK(resolved(";x") == "http://a/b/c/;x");
  CHECK(resolved("") == "http://a/b/c/d;p?q");
  CHECK(resolved(".") == "http://a/b/c/");
  CHECK(resolved("..") == "http://a/b/");
  CHECK(resolved("../g") == "http://a/b/g");
  CHECK(resolved("../..") == "http://a/");
  CHECK(resolved("../../../g") == "http://a/g");
  CHECK(resolved("/./g") == "http://a/g");
  CHECK(resolved("/../g") == "http://a/g");
  CHECK(resolved("g.") == "http://a/b/c/g.");
  CHECK(resolved("..g") == "http://a/b/c/..g");
  CHECK(resolved("./g/.") == "http://a/b/c/g/");
  CHECK(resolved("g/../h") == "http://a/b/c/h");
  CHECK(resolved("g?y/../x") == "http://a/b/c/g?y/../x");
  CHECK(resolved("https://other:8443/x") == "https://other:8443/x");
}

TEST_CASE("a reference that leaves http is refused") {  // row 189
  CHECK_THROWS_AS(resolved("javascript:alert(1)"), invalid_url);
  CHECK_THROWS_AS(resolved("ftp://a/"), invalid_url);
  CHECK_THROWS_AS(resolved("/a\r\nX: y"), invalid_url);
  CHECK_THROWS_AS(resolved("//user@evil/"), invalid_url);
}

TEST_CASE("an origin is scheme, host and port") {
  const auto url = parse_url("http://a/x");
  CHECK(url.same_origin(parse_url("http://A:80/y")));
  CHECK_FALSE(url.same_origin(parse_url("https://a/x")));
  CHECK_FALSE(url.same_origin(parse_url("http://a:81/x")));
  CHECK_FALSE(url.same_origin(parse_url("http://b/x")));
}
