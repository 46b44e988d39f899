// llhttp 8 holds a strict and a lenient parser, and only a definition on the command line of its
// own sources selects the strict one. These tests fail when the lenient one was built.

#include <llhttp.h>

#include <string_view>

#include "support/catch.hpp"

namespace {

llhttp_errno_t parse(std::string_view text, llhttp_type_t type = HTTP_REQUEST) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  llhttp_t parser;
  llhttp_init(&parser, type, &settings);
  return llhttp_execute(&parser, text.data(), text.size());
}

}  // namespace

TEST_CASE("llhttp takes an ordinary request") { CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == HPE_OK); }

TEST_CASE("llhttp was built strict: a head that ends in CR LF CR X is an error") {
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n\rX") != HPE_OK);
  CHECK(parse("HTTP/1.1 200 OK\r\nServer: a\r\n\rX", HTTP_RESPONSE) != HPE_OK);
}

TEST_CASE("llhttp was built strict: a carriage return alone ends no header line") {
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nFoo:\rTransfer-Encoding: chunked\r\n\r\n") != HPE_OK);
}

TEST_CASE("llhttp was built strict: a chunk line that ends in CR X is an error") {
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\rXabc\r\n0\r\n\r\n") !=
        HPE_OK);
}
