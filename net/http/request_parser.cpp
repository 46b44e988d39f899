#include "request_parser.hpp"

#include <llhttp.h>

#include <utility>

#include "text.hpp"

namespace mobius::http {

namespace {

struct named_method {
  std::string_view name;
  method which;
};

constexpr named_method methods[] = {
    {"GET", method::get},     {"HEAD", method::head},      {"POST", method::post},
    {"PUT", method::put},     {"DELETE", method::delete_}, {"OPTIONS", method::options},
    {"TRACE", method::trace}, {"PATCH", method::patch},    {"CONNECT", method::connect},
};

const named_method* find_method(std::string_view name) {
  for (const auto& entry : methods)
    if (entry.name == name) return &entry;
  return nullptr;
}

// What a field name says to framing; everything else passes.
enum class known : std::uint8_t {
  other,
  host,
  expect,
  connection,
  content_type,
  authorization,
  content_length,
  transfer_encoding
};

// Compares with the usual spelling first: with its size known, that is a word or two.
bool is_named(std::string_view name, std::string_view usual, std::string_view lowered) {
  return __builtin_memcmp(name.data(), usual.data(), usual.size()) == 0 ||
         detail::equals_lower(name, lowered);
}

// The length decides nearly always, so that an ordinary field costs one jump.
known classify(std::string_view name) {
  switch (name.size()) {
    case 4:
      return is_named(name, "Host", "host") ? known::host : known::other;
    case 6:
      return is_named(name, "Expect", "expect") ? known::expect : known::other;
    case 10:
      return is_named(name, "Connection", "connection") ? known::connection : known::other;
    case 12:
      return is_named(name, "Content-Type", "content-type") ? known::content_type : known::other;
    case 13:
      return is_named(name, "Authorization", "authorization") ? known::authorization : known::other;
    case 14:
      return is_named(name, "Content-Length", "content-length") ? known::content_length : known::other;
    case 17:
      return is_named(name, "Transfer-Encoding", "transfer-encoding") ? known::transfer_encoding
                                                                      : known::other;
    default:
      return known::other;
  }
}

rejection read_version(std::string_view text, std::uint8_t& minor) {
  if (text == "HTTP/1.1" || text == "HTTP/1.0") return minor = text.back() == '1', rejection{};
  auto digit = [&](std::size_t at) { return detail::is_class(text[at], detail::class_digit); };
  const bool versioned =
      text.size() == 8 && text.starts_with("HTTP/") && digit(5) && text[6] == '.' && digit(7);
  if (versioned) return {505, "the HTTP version is not 1.0 or 1.1"};
  return {400, "the request line does not end in an HTTP version"};
}

// Takes a field that a request has once at most; false for the second.
bool take(std::string_view& slot, std::string_view value) {
  if (slot.data() != nullptr) return false;
  slot = value;
  return true;
}

buffer_piece piece_of(std::string_view text, const char* base) {
  return {static_cast<std::uint32_t>(text.data() - base), static_cast<std::uint32_t>(text.size())};
}

}  // namespace

// The fields that decide about a request; a null view stands for an absent one.
struct request_parser::framing_fields {
  std::string_view host;
  std::string_view expect;
  std::string_view content_type;
  std::string_view authorization;
  std::string_view length;
  std::string_view coding;
  detail::connection_options connection;
};

rejection request_parser::find_framing_fields(const header_views& list, framing_fields& found) noexcept {
  for (std::size_t i = 0; i < list.count_; ++i) {
    const auto value = list.view(list.entries_[i].value);
    switch (classify(list.view(list.entries_[i].name))) {
      case known::other:
        break;
      case known::connection:
        found.connection.read(value);
        break;
      case known::host:
        if (!take(found.host, value)) return {400, "there is more than one Host"};
        break;
      case known::expect:
        if (!take(found.expect, value)) return {417, "there is more than one Expect"};
        break;
      case known::content_type:
        if (!take(found.content_type, value)) return {400, "there is more than one Content-Type"};
        break;
      case known::authorization:
        if (!take(found.authorization, value)) return {400, "there is more than one Authorization"};
        break;
      case known::content_length:
        if (!take(found.length, value)) return {400, "there is more than one Content-Length"};
        break;
      case known::transfer_encoding:
        if (!take(found.coding, value)) return {400, "there is more than one Transfer-Encoding"};
        break;
    }
  }
  return {};
}

std::string_view method_name(method which) noexcept {
  for (const auto& entry : methods)
    if (entry.which == which) return entry.name;
  return {};
}

std::string_view header_views::get(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < count_; ++i)
    if (detail::equals_ignoring_case(view(entries_[i].name), name)) return view(entries_[i].value);
  return {};
}

header_field header_views::operator[](std::size_t index) const noexcept {
  return {view(entries_[index].name), view(entries_[index].value)};
}

header_views::const_iterator header_views::begin() const noexcept { return {*this, 0}; }

header_views::const_iterator header_views::end() const noexcept { return {*this, count_}; }

request_parser::request_parser(const server_limits& limits) noexcept
    : scanner_(head_scanner::kind::request, limits.head), most_body_(limits.body.body) {}

progress request_parser::parse(std::string_view buffer, request_head& head) noexcept {
  const auto scanned = scanner_.scan(buffer);
  if (scanned == progress::need_more) return scanned;
  if (scanned == progress::rejected) return why_ = scanner_.why(), scanned;

  head.headers_.base_ = buffer.data();
  why_ = read_request_line(buffer.substr(scanner_.start(), scanner_.start_line_size()), head);
  if (!why_) why_ = read_fields(buffer, head);
  if (!why_) why_ = read_framing(head);
  return why_ ? progress::rejected : progress::complete;
}

rejection request_parser::read_request_line(std::string_view line, request_head& head) noexcept {
  const auto first = line.find(' ');
  if (first == std::string_view::npos) return {400, "the request line has one word only"};
  const auto name = line.substr(0, first);
  const auto* known = find_method(name);
  if (known == nullptr && !detail::is_token(name)) return {400, "the method is not a token"};
  const auto rest = line.substr(first + 1);
  const auto second = rest.find(' ');
  if (second == std::string_view::npos) return {400, "the request line has no HTTP version"};
  if (auto wrong = read_version(rest.substr(second + 1), head.version_minor_)) return wrong;
  if (known == nullptr) return {501, "the method is not known"};
  head.method_ = known->which;
  return read_target(rest.substr(0, second), head);
}

// RFC 9112 3.2: origin-form, absolute-form, authority-form with CONNECT, asterisk-form with OPTIONS.
rejection request_parser::read_target(std::string_view target, request_head& head) noexcept {
  const char* base = head.headers_.base_;
  head.target_ = piece_of(target, base);
  head.host_ = {};
  head.query_ = {};
  if (head.method_ == method::connect) {
    const bool named = detail::is_authority(target) && target.rfind(':') != std::string_view::npos;
    if (named) return {501, "this server is no proxy"};
    return {400, "the target of CONNECT is not host:port"};
  }
  if (target == "*" && head.method_ == method::options) return head.path_ = head.target_, rejection{};

  if (target.starts_with('/')) return read_path(target, head);
  const auto slashes = target.find("://");
  const auto scheme = target.substr(0, slashes);
  const bool absolute = slashes != std::string_view::npos &&
                        (detail::equals_lower(scheme, "http") || detail::equals_lower(scheme, "https"));
  if (!absolute) return {400, "the request target is neither a path nor an http URL"};
  const auto rest = target.substr(slashes + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  if (!detail::is_authority(authority)) return {400, "the request target has a bad host"};
  head.host_ = piece_of(authority, base);
  return read_path(rest.substr(authority.size()), head);
}

rejection request_parser::read_path(std::string_view text, request_head& head) noexcept {
  const char* base = head.headers_.base_;
  std::size_t size = 0;
  while (size < text.size() && detail::is_class(text[size], detail::class_path)) ++size;
  head.path_ = piece_of(text.substr(0, size), base);
  if (size < text.size()) {
    if (text[size] != '?') return {400, "the path has a character that must be percent-encoded"};
    const auto query = text.substr(size + 1);
    for (char c : query)
      if (!detail::is_class(c, detail::class_query))
        return {400, "the query has a character that must be percent-encoded"};
    head.query_ = piece_of(query, base);
  }
  if (!detail::percents_are_whole(text)) return {400, "a '%' is not followed by two hexadecimal digits"};
  return {};
}

rejection request_parser::read_fields(std::string_view buffer, request_head& head) const noexcept {
  struct collector {
    header_views& list;
    bool whole = false;
  };
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t out;
    llhttp_settings_init(&out);
    out.on_header_field = [](llhttp_t* parser, const char* at, std::size_t size) {
      auto& list = static_cast<collector*>(parser->data)->list;
      if (list.count_ == list.entries_.size()) return -1;
      list.entries_[list.count_++] = {piece_of({at, size}, list.base_), {}};
      return 0;
    };
    out.on_header_value = [](llhttp_t* parser, const char* at, std::size_t size) {
      auto& list = static_cast<collector*>(parser->data)->list;
      while (size != 0 && (at[size - 1] == ' ' || at[size - 1] == '\t')) --size;
      list.entries_[list.count_ - 1].value = piece_of({at, size}, list.base_);
      return 0;
    };
    out.on_headers_complete = [](llhttp_t* parser) {
      static_cast<collector*>(parser->data)->whole = true;
      parser->upgrade = 0;
      return 1;  // The body, if there is one, is not llhttp's business.
    };
    return out;
  }();

  head.headers_.count_ = 0;
  collector collected{head.headers_};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &collected;
  const auto result =
      llhttp_execute(&parser, buffer.data() + scanner_.start(), scanner_.size() - scanner_.start());
  if (result != HPE_OK || !collected.whole) return {400, "the head is malformed"};
  return {};
}

rejection request_parser::read_framing(request_head& head) noexcept {
  framing_fields fields;
  if (auto wrong = find_framing_fields(head.headers_, fields)) return wrong;
  if (auto wrong = read_host(fields, head)) return wrong;
  if (auto wrong = read_body(fields, head)) return wrong;

  const bool expecting = fields.expect.data() != nullptr;
  if (expecting && !detail::equals_lower(fields.expect, "100-continue"))
    return {417, "the Expect is not 100-continue"};
  // An HTTP/1.0 client does not know interim responses (RFC 9110 10.1.1).
  head.expects_continue_ = expecting && head.version_minor_ >= 1 && head.body_.kind != body_kind::none;
  head.keep_alive_ = fields.connection.persists(head.version_minor_);
  return {};
}

rejection request_parser::read_host(const framing_fields& fields, request_head& head) noexcept {
  const auto host = fields.host;
  if (host.data() == nullptr) {
    if (head.version_minor_ >= 1) return {400, "there is no Host"};
    return {};
  }
  if (!is_good_host(host)) return {400, "the Host is not a host and port"};
  if (head.host_.size != 0 && !detail::equals_ignoring_case(host, head.host()))
    return {400, "the Host is not the one of the request target"};
  head.host_ = piece_of(host, head.headers_.base_);
  return {};
}

bool request_parser::is_good_host(std::string_view host) noexcept {
  if (host_size_ != 0 && host == std::string_view(host_.data(), host_size_)) return true;
  if (!detail::is_authority(host)) return false;
  if (host.size() <= host_.size())
    host_size_ = static_cast<std::uint8_t>(host.copy(host_.data(), host_.size()));
  return true;
}

rejection request_parser::read_body(const framing_fields& fields, request_head& head) const noexcept {
  head.body_ = {};
  if (fields.coding.data() != nullptr) {
    if (head.version_minor_ == 0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
    if (fields.length.data() != nullptr) return {400, "there are both Content-Length and Transfer-Encoding"};
    const auto codings = detail::read_transfer_encoding(fields.coding);
    if (codings == detail::transfer_coding::malformed) return {400, "the Transfer-Encoding is malformed"};
    if (codings == detail::transfer_coding::unknown)
      return {501, "the Transfer-Encoding is not chunked alone"};
    head.body_.kind = body_kind::chunked;
    return {};
  }
  if (fields.length.data() == nullptr) return {};
  if (!detail::parse_decimal(fields.length, head.body_.length))
    return {400, "the Content-Length is not a number"};
  if (head.body_.length > most_body_) return {413, "the body is too large"};
  if (head.body_.length != 0) head.body_.kind = body_kind::length;
  return {};
}

}  // namespace mobius::http
