#include "response_parser.hpp"

#include <llhttp.h>

#include <utility>

#include "error.hpp"
#include "text.hpp"

namespace mobius::http {

namespace {

// Content-Length of a response: identical repetitions count as one (RFC 9110 8.6).
bool read_lengths(std::string_view value, bool& seen, std::uint64_t& length) {
  bool right = true;
  detail::for_each_element(value, [&](std::string_view element) {
    std::uint64_t number = 0;
    right = detail::parse_decimal(element, number) && (!seen || number == length);
    seen = true;
    length = number;
    return right;
  });
  return right;
}

// llhttp only judges here: what it hands out as spans is found as lines by the scanner already.
const llhttp_settings_t& judging() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t out;
    llhttp_settings_init(&out);
    // llhttp refuses repeated lengths, which responses may have, and treats some fields as its
    // own. Framing is computed by us, so every field is an ordinary one to it.
    out.on_header_field_complete = [](llhttp_t* parser) { return parser->header_state = 0, 0; };
    out.on_headers_complete = [](llhttp_t* parser) {
      *static_cast<bool*>(parser->data) = true;
      return 1;
    };
    return out;
  }();
  return settings;
}

}  // namespace

response_parser::response_parser(std::string subject, const client_limits& limits)
    : subject_(std::move(subject)),
      scanner_(head_scanner::kind::response, limits.head),
      most_interims_(limits.interim_responses) {}

void response_parser::begin(http::method requested) {
  requested_ = requested;
  interims_ = 0;
  scanner_.reset();
  head_ = {};
}

response_parser::step response_parser::parse(std::string_view buffer) {
  std::size_t consumed = 0;
  for (;;) {
    const auto rest = buffer.substr(consumed);
    const auto scanned = scanner_.scan(rest);
    if (scanned == progress::need_more) return {false, consumed};
    if (scanned == progress::rejected) throw_refused(scanner_.why());
    read_head(rest.substr(0, scanner_.size()));
    consumed += scanner_.size();
    if (head_.status >= 200) return {true, consumed};
    if (++interims_ > most_interims_) refuse("there are too many interim (1xx) responses");
    scanner_.reset();
  }
}

void response_parser::read_head(std::string_view text) {
  head_ = {};
  read_status_line(text.substr(0, scanner_.start_line_size()));
  if (head_.status == 101) refuse("it switches protocols (101) and nobody asked for that");
  read_fields(text);
  if (head_.status >= 200) read_framing();
}

// RFC 9112 4, with the one tolerance that all clients have: no blank before an empty reason.
void response_parser::read_status_line(std::string_view line) {
  const auto version = line.substr(0, 8);
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    refuse("it does not begin with HTTP/1.1 or HTTP/1.0 but with " + detail::quoted(version));
  const auto code = line.substr(8, 4);
  std::uint64_t status = 0;
  const bool framed = code.size() == 4 && code[0] == ' ' && (line.size() == 12 || line[12] == ' ');
  if (!framed || !detail::parse_decimal(code.substr(1), status) || status < 100)
    refuse("the status line " + detail::quoted(line) + " has no status of three digits");
  head_.status = static_cast<int>(status);
  head_.version_minor = version.back() - '0';
  if (line.size() > 13) head_.reason = line.substr(13);
  if (!detail::all_class(head_.reason, detail::class_value))
    refuse("the reason phrase has a control byte in it");
}

void response_parser::read_fields(std::string_view text) {
  bool whole = false;
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &judging());
  parser.data = &whole;
  const auto result = llhttp_execute(&parser, text.data(), text.size());
  if (result != HPE_OK || !whole) refuse("its head is malformed");
  const auto fields = text.substr(scanner_.start_line_size() + 2);
  if (!detail::read_field_lines(fields, head_.headers)) refuse("a header field of it is malformed");
}

void response_parser::read_framing() {
  bool coded = false, measured = false;
  std::uint64_t length = 0;
  detail::connection_options connection;
  for (const auto [name, value] : head_.headers) {
    if (detail::equals_lower(name, "content-length")) {
      if (!read_lengths(value, measured, length))
        refuse("Content-Length is not one number but " + detail::quoted(value));
    } else if (detail::equals_lower(name, "transfer-encoding")) {
      if (std::exchange(coded, true)) refuse("it has more than one Transfer-Encoding");
      if (detail::read_transfer_encoding(value) != detail::transfer_coding::chunked)
        refuse("Transfer-Encoding " + detail::quoted(value) + " is not chunked alone");
    } else if (detail::equals_lower(name, "connection")) {
      connection.read(value);
    }
  }
  if (coded && measured) refuse("it has both Content-Length and Transfer-Encoding");
  if (coded && head_.version_minor == 0) refuse("it is HTTP/1.0 and has a Transfer-Encoding");

  head_.keep_alive = connection.persists(head_.version_minor);
  const bool bodiless = requested_ == method::head || head_.status == 204 || head_.status == 304;
  if (bodiless) return;
  if (coded) {
    head_.body = {body_kind::chunked, 0};
  } else if (measured) {
    head_.body = {length == 0 ? body_kind::none : body_kind::length, length};
  } else {
    head_.body = {body_kind::until_eof, 0};
    head_.keep_alive = false;
  }
}

void response_parser::throw_cut_off(std::string partial_body) const {
  if (!begun())
    throw response_never_received(subject_ + ": the server closed the connection without a response");
  throw response_truncated(subject_ + ": the connection ended inside the response", std::move(partial_body));
}

void response_parser::throw_refused(const rejection& why) const {
  if (why.status == 400) refuse(why.reason);
  throw too_large(subject_ + ": the response is over its limit: " + std::string(why.reason));
}

void response_parser::refuse(std::string_view why) const {
  throw protocol_error(subject_ + ": the response cannot be used: " + std::string(why));
}

}  // namespace mobius::http
