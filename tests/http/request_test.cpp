// Requests and what a server must make of them. Each is sent whole, split in two at every position,
// byte by byte, and behind another request, and the outcome must be the same. Rows with one number
// are variants of one case.

#include <cstdlib>
#include <mobius/net/http/request_parser.hpp>
#include <mobius/net/http/text.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "wire.hpp"

using namespace std::string_literals;

namespace {

struct row {
  int number;
  std::string sent;
  std::string expected;
};

std::string repeat(std::size_t times, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// A GET with these header lines behind its Host.
std::string get(std::string_view lines) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n\r\n";
}

std::string get_target(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string with_host(std::string_view host) {
  return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

std::string post(std::string_view lines, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n\r\n" + std::string(body);
}

std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked", body); }

const std::string next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

std::string fields(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += "X" + std::to_string(i) + ": 1\r\n";
  return out;
}

const std::vector<row>& head_rows() {
  static const std::vector<row> rows = {
      {1, get("X: 1"), "GET /"},
      {2, "GET / HTTP/1.1\r\nX: 1\r\n\r\n", "400"},
      {2, "GET / HTTP/1.1\r\n\r\n", "400"},
      {3, get("Host: b"), "400"},
      {4, get("Host: a"), "400"},
      {5, with_host(""), "400"},
      {5, "GET / HTTP/1.0\r\nHost:\r\n\r\n", "400"},
      {6, with_host("a, b"), "400"},
      {6, with_host("a,b"), "400"},
      {7, with_host("user@a"), "400"},
      {7, with_host("a/b"), "400"},
      {7, with_host("a b"), "400"},
      {8, with_host("[::1]:8080"), "GET /"},
      {8, with_host("a:80"), "GET /"},
      {8, with_host("a:"), "GET /"},
      {8, with_host("xn--bcher-kva.example"), "GET /"},
      {8, with_host("127.0.0.1:8080"), "GET /"},
      {9, with_host("a:99999"), "400"},
      {9, with_host("a:+80"), "400"},
      {9, with_host("[::1"), "400"},
      {9, with_host("[::g]"), "400"},
      {9, with_host("[::1]x"), "400"},
      {10, "GET / HTTP/1.0\r\n\r\n", "GET / close"},
      {11, "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
      {12, post("Transfer-Encoding : chunked", "0\r\n\r\n"), "400"},
      {12, post("Content-Length\t: 3", "abc"), "400"},
      {13, get("Foo Bar: x"), "400"},
      {13, get("X[]: 1"), "400"},
      {13, get("X\"Y: 1"), "400"},
      {13, get("X\xe9: 1"), "400"},
      {13, get("X\0Y: 1"s), "400"},
      {14, get(": x"), "400"},
      {15, get("no colon here"), "400"},
      {15, get("a"), "400"},
      {16, get("X: a\0b"s), "400"},
      {16,
       get("X: a\x01"
           "b"),
       "400"},
      {16,
       get("X: a\x7f"
           "b"),
       "400"},
      {16, get("X: a\vb"), "400"},
      {17, get("X: \x80\xff"), "GET /"},
      {18, get("X: 1 \t "), "GET /"},
      {19, get("X: 1\r\n 2"), "400"},
      {19, get("X: 1\r\n\t2"), "400"},
      {20, post("Content-Length:\r\n 3", "abc"), "400"},
      {21, post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), "400"},
      {22, post("X: y\r\n Content-Length: 42", next), "400"},
      {23, get("X: 1\r\n  \r\nY: 2"), "400"},
      {24, "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
      {24, "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "400"},
      {25, "GET / HTTP/1.1\nHost: a\n\n", "400"},
      {26, "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
      {27, "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", "400"},
      {28, "GET / HTTP/1.1\r\nHost: a\r\n\n" + next, "400"},
      {29, "GET / HTTP/1.1\r\nHost: a\r\n\rX" + next, "400"},
      {30, get("Foo:\rTransfer-Encoding: chunked"), "400"},
      {31, get("X: a\rb"), "400"},
      {32, "\r\n" + get("X: 1"), "GET /"},
      {33, repeat(1000, "\r\n") + next, "400"},
      {33, "\r\n\r\n" + next, "400"},
      {34, "\r\r\n\n" + next, "400"},
      {35, " " + next, "400"},
      {36, "get / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {37, "FOO / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {37, "QUERY / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {38, "F(O / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {38, std::string(100'000, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {39, "SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {39, "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {41, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {41, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {42, "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {42, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
      {43, "GET /x\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "400"},
      {43, "GET\r\n\r\n", "400"},
      {44, "GET /x\nHost: a\r\n\r\n", "400"},
      {45, "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505"},
      {46, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
      {47, "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"},
      {47, "GET / HTTP/9.9\r\nHost: a\r\n\r\n", "505"},
      {47, "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"},
      {48, "GET / HTTP/11\r\nHost: a\r\n\r\n", "400"},
      {48, "GET / HTTP/01.1\r\nHost: a\r\n\r\n", "400"},
      {48, "GET / http/1.1\r\nHost: a\r\n\r\n", "400"},
      {48, "GET / HTTP/1. 1\r\nHost: a\r\n\r\n", "400"},
      {48, "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"},
      {49, "OPTIONS / RTSP/1.0\r\nHost: a\r\n\r\n", "400"},
      {49, "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", "400"},
      {50, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
      {51, "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"s + repeat(200, "z"), "400"},
      {53, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *"},
      {54, get_target("*"), "400"},
      {54, get_target("*foo"), "400"},
      {55, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n", "501"},
      {56, "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {56, "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {57, get_target("http://b/x"), "400"},
      {57, "GET http://b/x?y HTTP/1.1\r\nHost: B\r\n\r\n", "GET /x?y"},
      {57, "GET http://b/x HTTP/1.1\r\n\r\n", "400"},
      {58, "GET http://b HTTP/1.1\r\nHost: b\r\n\r\n", "GET /"},
      {58, "GET http://b?q HTTP/1.1\r\nHost: b\r\n\r\n", "GET /?q"},
      {59, "GET http://u:p@b/ HTTP/1.1\r\nHost: b\r\n\r\n", "400"},
      {59, "GET http:///x HTTP/1.1\r\nHost: b\r\n\r\n", "400"},
      {59, "GET ftp://b/ HTTP/1.1\r\nHost: b\r\n\r\n", "400"},
      {60, get_target("b:80"), "400"},
      {61, get_target("/a#b"), "400"},
      {61, "GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {62, get_target("/%zz"), "400"},
      {62, get_target("/%"), "400"},
      {62, get_target("/?%4"), "400"},
      {63, get_target("/%00"), "GET /%00"},
      {64, get_target("/a\\b"), "400"},
      {64, get_target("/a<b>\"c"), "400"},
      {64, get_target("/?a={b}|c"), "GET /?a={b}|c"},
      {65, get_target("/\xc3\xa9"), "400"},
      {65, get_target("/a\0b"s), "400"},
      {65, get_target("/a\tb"), "400"},
      {67, get_target("/" + std::string(8000 - 14, 'a')), "GET /" + std::string(8000 - 14, 'a')},
      {67, get_target("/" + std::string(8192 - 14, 'a')), "GET /" + std::string(8192 - 14, 'a')},
      {68, get_target("/" + std::string(8193 - 14, 'a')), "414"},
      {68, get_target("/" + std::string(100'000, 'a')), "414"},
      {69, get("X: " + std::string(100'000, 'x')), "431"},
      {70, get(fields(98) + "Last: 1"), "GET /"},
      {70, get(fields(99) + "Last: 1"), "431"},
      {70, get(fields(10'000) + "Last: 1"), "431"},
      {71, get("Cookie: " + repeat(1000, "a=b; ") + "c=d"), "GET /"},
      {72, post("Content_Length: 3", next), "POST /; GET /next"},
      {72, post("Transfer_Encoding: chunked", next), "POST /; GET /next"},
      {73, get("Content-Type: a/b\r\nContent-Type: a/b"), "400"},
      {73, get("Authorization: a\r\nAuthorization: a"), "400"},
      {74, get("Connection: close\t") + next, "GET / close"},
      {75, get("Connection: keep-alive, close") + next, "GET / close"},
      {75, get("Connection: close, keep-alive") + next, "GET / close"},
      {75, get("Connection: keep-alive\r\nConnection: CLOSE") + next, "GET / close"},
      {76, get("Connection: closed") + next, "GET /; GET /next"},
      {77, get("Proxy-Connection: close") + next, "GET /; GET /next"},
      {78, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next, "GET /; GET /next"},
      {79, post("Connection: content-length\r\nContent-Length: 3", "abc" + next), "POST / [abc]; GET /next"},
  };
  return rows;
}

const std::vector<row>& body_rows() {
  static const std::vector<row> rows = {
      {80, post("Content-Length: 3", "abc"), "POST / [abc]"},
      {81, post("Content-Length: 3\r\nContent-Length: 3", "abc"), "400"},
      {81, post("Content-Length: 3\r\nContent-Length: 4", "abcd"), "400"},
      {82, post("Content-Length: 3, 3", "abc"), "400"},
      {82, post("Content-Length: +3", "abc"), "400"},
      {82, post("Content-Length: -1", "abc"), "400"},
      {82, post("Content-Length: -0", "abc"), "400"},
      {82, post("Content-Length: 0x3", "abc"), "400"},
      {82, post("Content-Length: 1_0", "abc"), "400"},
      {82, post("Content-Length: 3 4", "abc"), "400"},
      {82, post("Content-Length:", "abc"), "400"},
      {82, post("Content-Length: 3\t", "abc"), "400"},
      {83, post("Content-Length: 00", next), "POST /; GET /next"},
      {83, post("Content-Length: 0003", "abc"), "POST / [abc]"},
      {84, post("Content-Length: 18446744073709551616", ""), "400"},
      {85, post("Content-Length: 18446744073709551615", ""), "413"},
      {85, post("Content-Length: 9223372036854775808", ""), "413"},
      {86, post("Content-Length: 1048577\r\nExpect: 100-continue", ""), "413"},
      {88, post("Content-Length: 10", "hello"), "cut"},
      {90, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + next, "GET / [abc]; GET /next"},
      {90, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + next, "HEAD / [abc]; GET /next"},
      {90, "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + next,
       "DELETE / [abc]; GET /next"},
      {90, "OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + next,
       "OPTIONS / [abc]; GET /next"},
      {91, post("Content-Length: 0", "(" + next), "POST /; 400"},
      {91, post("Content-Length: 0", "x" + next), "POST /; 501"},
      {92, post("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "400"},
      {92, post("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n"), "400"},
      {93, post("Transfer-Encoding:\r\nContent-Length: 3", "abc"), "400"},
      {93, post("Transfer-Encoding:", "abc"), "400"},
      {94, post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), "501"},
      {94, post("Transfer-Encoding: identity, chunked", "0\r\n\r\n"), "501"},
      {94, post("Transfer-Encoding: x, chunked", "0\r\n\r\n"), "501"},
      {95, post("Transfer-Encoding: identity", "0\r\n\r\n"), "501"},
      {95, post("Transfer-Encoding: gzip", "0\r\n\r\n"), "501"},
      {95, post("Transfer-Encoding: xchunked", "0\r\n\r\n"), "501"},
      {95, post("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), "400"},
      {95, post("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"), "400"},
      {96, post("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"), "400"},
      {96, post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), "400"},
      {96, post("Transfer-Encoding: chunked,", "0\r\n\r\n"), "400"},
      {96, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "400"},
      {97, post("Transfer-Encoding: ,chunked", "0\r\n\r\n"), "400"},
      {97, post("Transfer-Encoding: \"a,chunked", "0\r\n\r\n"), "400"},
      {97, post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "400"},
      {98, post("Transfer-Encoding: CHUNKED", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"},
      {98, post("Transfer-Encoding:\tchunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"},
      {98, post("Transfer-Encoding: chunked ", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"},
      {99, post("Transfer-Encoding: \vchunked", "0\r\n\r\n"), "400"},
      {99, post("Transfer-Encoding: \fchunked", "0\r\n\r\n"), "400"},
      {99, post("Transfer-Encoding: chunked\0"s, "0\r\n\r\n"), "400"},
      {100, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {101, post("X: 1", next), "POST /; GET /next"},
      {102, chunked("3\r\nabc\r\n0\r\n\r\n" + next), "POST / [abc]; GET /next"},
      {102, chunked("1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n" + next), "POST / [a0123456789]; GET /next"},
      {102, chunked("0\r\n\r\n" + next), "POST /; GET /next"},
      {103, chunked("3\nabc\r\n0\r\n\r\n"), "400"},
      {103, chunked("3\r\nabc\n0\r\n\r\n"), "400"},
      {103, chunked("3\r\nabcXX0\r\n\r\n"), "400"},
      {103, chunked("3\r\nabcd\r\n0\r\n\r\n"), "400"},
      {104, chunked("0x3\r\nabc\r\n0\r\n\r\n"), "400"},
      {104, chunked("+3\r\nabc\r\n0\r\n\r\n"), "400"},
      {104, chunked("-3\r\nabc\r\n0\r\n\r\n"), "400"},
      {104, chunked("1_0\r\nabc\r\n0\r\n\r\n"), "400"},
      {104, chunked(" 3\r\nabc\r\n0\r\n\r\n"), "400"},
      {104, chunked("3 \r\nabc\r\n0\r\n\r\n"), "400"},
      {104, chunked("\r\nabc\r\n0\r\n\r\n"), "400"},
      {105, chunked("11111111111111111\r\nabc\r\n0\r\n\r\n"), "400"},
      {106, chunked("FFFFFFFFFFFFFFFF\r\nabc"), "413"},
      {107, chunked(std::string(1024, '0') + "3\r\nabc\r\n0\r\n\r\n"), "400"},
      {108, chunked("3\rXabc\r\n0\r\n\r\n"), "400"},
      {109, chunked("3;a\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"},
      {109, chunked("3;a=b\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"},
      {109, chunked("3;a=\"b c\"\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"},
      {110, chunked("3;\r\nabc\r\n0\r\n\r\n"), "400"},
      {110, chunked("3;[\r\nabc\r\n0\r\n\r\n"), "400"},
      {110, chunked("3;a\0b\r\nabc\r\n0\r\n\r\n"s), "400"},
      {110, chunked("3; a=b\r\nabc\r\n0\r\n\r\n"), "400"},
      {110, chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), "400"},
      {110, chunked("3;a=\"b\nc\"\r\nabc\r\n0\r\n\r\n"), "400"},
      {111, chunked("3;=b\r\nabc\r\n0\r\n\r\n"), "400"},
      {111, chunked("3;a=\r\nabc\r\n0\r\n\r\n"), "400"},
      {112, chunked("3;" + std::string(65536, 'a') + "\r\nabc\r\n0\r\n\r\n"), "400"},
      {112, chunked(repeat(100, "1;" + std::string(200, 'a') + "\r\nx\r\n") + "0\r\n\r\n"), "400"},
      {112, chunked(repeat(50, "1;" + std::string(200, 'a') + "\r\nx\r\n") + "0\r\n\r\n"),
       "POST / [" + std::string(50, 'x') + "]"},
      {113, chunked(repeat(2000, "1\r\nx\r\n") + "0\r\n\r\n"), "POST / [" + std::string(2000, 'x') + "]"},
      {114, chunked("3\r\nabc\r\n"), "cut"},
      {114, chunked("3\r\nab"), "cut"},
      {114, chunked("0\r\n"), "cut"},
      {115, chunked("0\r\n\n"), "400"},
      {116, chunked("3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n" + next), "POST / [abc] trailers:1; GET /next"},
      {117, chunked("0\r\nContent-Length: 7\r\n\r\n" + next), "POST /; GET /next"},
      {117, chunked("0\r\nTransfer-Encoding: gzip\r\n\r\n" + next), "POST /; GET /next"},
      {117, chunked("0\r\nConnection: close\r\nHost: b\r\n\r\n" + next), "POST /; GET /next"},
      {117, chunked("0\r\nAUTHORIZATION: a\r\nContent-Type: a\r\nX: 1\r\n\r\n" + next),
       "POST / trailers:1; GET /next"},
      {118, chunked("0\r\nX: 1\r\n 2\r\n\r\n"), "400"},
      {118, chunked("0\r\nX\r\n\r\n"), "400"},
      {118, chunked("0\r\nX Y: 1\r\n\r\n"), "400"},
      {118, chunked("0\r\nX: a\x01\r\n\r\n"), "400"},
      {118, chunked("0\r\nX: " + std::string(9000, 'a') + "\r\n\r\n"), "431"},
      {118, chunked("0\r\n" + fields(32) + "\r\n"), "POST / trailers:32"},
      {118, chunked("0\r\n" + fields(33) + "\r\n"), "431"},
      {119, post("Expect: 100-continue\r\nContent-Length: 3", "abc"), "POST / [abc] expects"},
      {121, "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "POST / [abc] close"},
      {122, get("Expect: 100-continue"), "GET /"},
      {122, post("Expect: 100-continue\r\nContent-Length: 0", ""), "POST /"},
      {123, post("Expect: foo\r\nContent-Length: 3", "abc"), "417"},
      {123, post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3", "abc"), "417"},
      {123, post("Expect: 100-Continue \r\nContent-Length: 3", "abc"), "POST / [abc] expects"},
      {124, post("Expect: 100-continue\r\nContent-Length: 3", "abc" + next),
       "POST / [abc] expects; GET /next"},
      {125, next + next, "GET /next; GET /next"},
      {128, post("Content-Length: 3", "abc") + chunked("3\r\ndef\r\n0\r\n\r\n") + next,
       "POST / [abc]; POST / [def]; GET /next"},
      {129, get("Connection: close") + next + "garbage\n", "GET / close"},
      {130, next + "\x01garbage\r\n\r\n", "GET /next; 400"},
      {135, "GET / HTTP/1.1\r\nHos", "cut"},
      {140, get("Upgrade: websocket\r\nConnection: upgrade") + next, "GET /; GET /next"},
      {141, get("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA") + next,
       "GET /; GET /next"},
      {142, get("Upgrade: websocket") + next, "GET /; GET /next"},
      {142, post("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3", "abc" + next),
       "POST / [abc]; GET /next"},
      {142,
       post("Upgrade: x\r\nConnection: upgrade\r\nTransfer-Encoding: chunked", "1\r\na\r\n0\r\n\r\n" + next),
       "POST / [a]; GET /next"},
      {144, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE /"},
  };
  return rows;
}

void check_rows(const std::vector<row>& rows, bool behind_another) {
  const std::string first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const auto& [number, message, answer] : rows) {
    const auto sent = behind_another ? first + message : message;
    const auto expected = behind_another ? "GET /first; " + answer : answer;
    INFO("row " << number << ", sent " << mobius::http::detail::quoted(message));
    CHECK(wire::outcome({sent}) == expected);
    CHECK(wire::outcome(wire::single_bytes(sent)) == expected);
    for (auto at : wire::split_points(sent.size())) {
      const auto whole = std::string_view(sent);
      const auto found = wire::outcome({whole.substr(0, at), whole.substr(at)});
      if (found == expected) continue;
      FAIL_CHECK("split at " << at << ": " << found << " instead of " << expected);
      break;
    }
  }
}

}  // namespace

TEST_CASE("each request head of the list is answered alike however it is split") {
  check_rows(head_rows(), false);
}

TEST_CASE("each request body of the list is answered alike however it is split") {
  check_rows(body_rows(), false);
}

TEST_CASE("each message of the list is answered alike behind a pipelined request") {
  check_rows(head_rows(), true);
  check_rows(body_rows(), true);
}

TEST_CASE("a body of exactly the limit is taken and one byte more is refused") {  // row 87
  mobius::http::server_limits limits;
  limits.body.body = 5;
  CHECK(wire::outcome({post("Content-Length: 5", "hello")}, limits) == "POST / [hello]");
  CHECK(wire::outcome({post("Content-Length: 6", "hello!")}, limits) == "413");
  CHECK(wire::outcome({chunked("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")}, limits) == "POST / [hello]");
  CHECK(wire::outcome({chunked("3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n")}, limits) == "413");
}

TEST_CASE("a head of exactly the limit is taken and one byte more is refused") {
  const auto message = get("X: 1");
  mobius::http::server_limits limits;
  limits.head.head = message.size();
  CHECK(wire::outcome({message}, limits) == "GET /");
  CHECK(wire::outcome(wire::single_bytes(message), limits) == "GET /");
  limits.head.head = message.size() - 1;
  CHECK(wire::outcome({message}, limits) == "431");
  CHECK(wire::outcome(wire::single_bytes(message), limits) == "431");
}

TEST_CASE("a request head shows its parts in place, also after its buffer has moved") {
  std::string buffer =
      "GET /a%20b?x=1&y HTTP/1.1\r\nhost: example.org:81\r\nX-Empty:\r\nX-A:  one two\t\r\nx-a: "
      "\xff\r\n\r\nrest";
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  REQUIRE(parser.parse(buffer, head) == mobius::http::progress::complete);
  CHECK(parser.size() == buffer.size() - 4);

  const std::string moved = buffer;
  head.rebase(moved.data());
  buffer.assign(buffer.size(), '#');
  CHECK(head.method() == mobius::http::method::get);
  CHECK(head.target() == "/a%20b?x=1&y");
  CHECK(head.path() == "/a%20b");
  CHECK(head.query() == "x=1&y");
  CHECK(head.host() == "example.org:81");
  CHECK(head.version_minor() == 1);
  CHECK(head.keep_alive());
  REQUIRE(head.headers().size() == 4);
  CHECK(head.headers()[0].name == "host");
  CHECK(head.headers().get("HOST") == "example.org:81");
  CHECK(head.headers().contains("x-empty"));
  CHECK(head.headers().get("x-empty").empty());
  CHECK(head.headers().get("X-A") == "one two");
  CHECK(head.headers()[3].value == "\xff");
  CHECK_FALSE(head.headers().contains("x"));
  std::size_t walked = 0;
  for (const auto field : head.headers()) walked += field.name.size();
  CHECK(walked == 4 + 7 + 3 + 3);
}

TEST_CASE("the host of an absolute target is the one a handler sees") {
  const std::string_view text = "GET http://b:80/x HTTP/1.1\r\nHost: b:80\r\n\r\n";
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  REQUIRE(parser.parse(text, head) == mobius::http::progress::complete);
  CHECK(head.host() == "b:80");
  CHECK(head.path() == "/x");
  CHECK(head.target() == "http://b:80/x");
}

TEST_CASE("a body that is too large by its length is refused with the head alone") {  // row 86
  mobius::http::request_parser parser;
  mobius::http::request_head head;
  CHECK(parser.parse(post("Content-Length: 1048576", ""), head) == mobius::http::progress::complete);
  parser.reset();
  CHECK(parser.parse(post("Content-Length: 1048577", ""), head) == mobius::http::progress::rejected);
  CHECK(parser.why().status == 413);
}

TEST_CASE("a Transfer-Encoding is chunked, a list that is not implemented, or malformed") {  // rows 94-98
  using mobius::http::detail::read_transfer_encoding;
  using mobius::http::detail::transfer_coding;
  CHECK(read_transfer_encoding("chunked") == transfer_coding::chunked);
  CHECK(read_transfer_encoding("Chunked") == transfer_coding::chunked);
  CHECK(read_transfer_encoding("gzip") == transfer_coding::unknown);
  CHECK(read_transfer_encoding("gzip, chunked") == transfer_coding::unknown);
  for (auto wrong :
       {"", ",chunked", "chunked,", "chunked, gzip", "chunked, chunked", "\"a,chunked", "chunked;q=1"})
    CHECK(read_transfer_encoding(wrong) == transfer_coding::malformed);
}

TEST_CASE("damaged messages are judged alike however they are cut") {
  const char* given = std::getenv("MOBIUS_SEED");
  const auto seed = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                     : std::random_device{}();
  INFO("MOBIUS_SEED=" << seed);
  std::mt19937 random(seed);
  const auto bytes = "\r\n\t :;,0aZ\0\x80%/"s;
  const auto& heads = head_rows();
  const auto& bodies = body_rows();
  for (int round = 0; round < 4000; ++round) {
    const auto& rows = random() % 2 == 0 ? heads : bodies;
    auto sent = rows[random() % rows.size()].sent;
    if (sent.size() > 2000) continue;
    sent += bodies[random() % 10].sent;
    for (auto faults = 1 + random() % 3; faults > 0; --faults) {
      const auto at = random() % sent.size();
      switch (random() % 3) {
        case 0:
          sent[at] = bytes[random() % bytes.size()];
          break;
        case 1:
          sent.erase(at, 1);
          break;
        default:
          sent.insert(at, 1, bytes[random() % bytes.size()]);
          break;
      }
    }
    const auto expected = wire::outcome({sent});
    std::vector<std::string_view> pieces;
    for (auto rest = std::string_view(sent); !rest.empty(); rest.remove_prefix(pieces.back().size()))
      pieces.push_back(rest.substr(0, 1 + random() % 30));
    CAPTURE(mobius::http::detail::quoted(sent));
    REQUIRE(wire::outcome(pieces) == expected);
    REQUIRE(wire::outcome(wire::single_bytes(sent)) == expected);
  }
}
