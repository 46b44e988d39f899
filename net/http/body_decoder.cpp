#include "body_decoder.hpp"

#include <llhttp.h>

#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>

#include "text.hpp"

namespace mobius::http {

static_assert(sizeof(llhttp_t) <= sizeof(std::array<std::byte, 128>) && alignof(llhttp_t) <= 8);
static_assert(std::is_trivially_copyable_v<llhttp_t>);

namespace {

// The CRLF of the chunk before, eight digits and a CRLF: what any chunk costs.
constexpr std::uint64_t free_line = 12;

constexpr std::string_view dropped_trailers[] = {"authorization",
                                                 "connection",
                                                 "content-encoding",
                                                 "content-length",
                                                 "content-range",
                                                 "content-type",
                                                 "cookie",
                                                 "expect",
                                                 "host",
                                                 "keep-alive",
                                                 "location",
                                                 "max-forwards",
                                                 "proxy-authorization",
                                                 "set-cookie",
                                                 "te",
                                                 "trailer",
                                                 "transfer-encoding",
                                                 "upgrade"};

}  // namespace

struct chunk_callbacks {
  static body_decoder& self(llhttp_t* parser) { return *static_cast<body_decoder*>(parser->data); }

  static int on_body(llhttp_t* parser, const char* at, std::size_t size) {
    self(parser).data_ = {at, size};
    return HPE_PAUSED;
  }

  static int on_chunk_header(llhttp_t* parser) {
    auto& decoder = self(parser);
    if (parser->content_length > decoder.limits_.body - decoder.received_) {
      decoder.step_ = body_decoder::chunk_step::too_large;
      return HPE_PAUSED;
    }
    if (parser->content_length != 0) return 0;
    decoder.step_ = body_decoder::chunk_step::trailers;
    return HPE_PAUSED;
  }

  static int on_name(llhttp_t* parser, const char*, std::size_t size) {
    return self(parser).name_ += size, 0;
  }
  static int on_value(llhttp_t* parser, const char*, std::size_t size) {
    return self(parser).value_ += size, 0;
  }

  // llhttp lets ";=b" and ";a=" pass; RFC 9112 7.1.1 has neither.
  static int on_name_complete(llhttp_t* parser) { return std::exchange(self(parser).name_, 0) == 0 ? -1 : 0; }
  static int on_value_complete(llhttp_t* parser) {
    return std::exchange(self(parser).value_, 0) == 0 ? -1 : 0;
  }

  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t out = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_body = on_body;
      made.on_chunk_header = on_chunk_header;
      made.on_chunk_extension_name = on_name;
      made.on_chunk_extension_name_complete = on_name_complete;
      made.on_chunk_extension_value = on_value;
      made.on_chunk_extension_value_complete = on_value_complete;
      return made;
    }();
    return out;
  }

  // A parser that has just read the head of a chunked message. The real head was read by a parser
  // of its own, so that nothing but its framing gets here.
  static const llhttp_t& primed() {
    static const llhttp_t out = [] {
      constexpr std::string_view head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
      llhttp_t made;
      llhttp_init(&made, HTTP_REQUEST, &settings());
      llhttp_execute(&made, head.data(), head.size());
      return made;
    }();
    return out;
  }
};

void body_decoder::begin(const framing& body, const body_limits& limits) {
  state_ = body.kind == body_kind::none ? progress::complete : progress::need_more;
  step_ = chunk_step::coding;
  kind_ = body.kind;
  left_ = body.length;
  received_ = line_ = overhead_ = 0;
  name_ = value_ = 0;
  data_ = {};
  limits_ = limits;
  why_ = {};
  section_.clear();
  trailers_.clear();
  if (kind_ == body_kind::length) {
    if (left_ > limits_.body) return reject(413, "the body is too large");
    if (left_ == 0) state_ = progress::complete;
  } else if (kind_ == body_kind::chunked) {
    scanner_ = head_scanner(head_scanner::kind::trailers, limits_.trailers);
    new (parser_.data()) llhttp_t(chunk_callbacks::primed());
  }
}

body_decoder::piece body_decoder::next(std::string_view input) {
  if (state_ != progress::need_more) return {};
  if (kind_ == body_kind::chunked)
    return step_ == chunk_step::coding ? next_chunked(input) : next_trailers(input);

  if (kind_ == body_kind::length) {
    const auto data = input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
    left_ -= data.size();
    received_ += data.size();
    if (left_ == 0) state_ = progress::complete;
    return {data, data.size()};
  }
  if (input.size() > limits_.body - received_) return reject(413, "the body is too large"), piece{};
  received_ += input.size();
  return {input, input.size()};
}

body_decoder::piece body_decoder::next_chunked(std::string_view input) {
  if (input.empty()) return {};
  auto* parser = std::launder(reinterpret_cast<llhttp_t*>(parser_.data()));
  parser->data = this;
  data_ = {};
  const auto result = llhttp_execute(parser, input.data(), input.size());
  if (result != HPE_OK && result != HPE_PAUSED) {
    if (!why_) reject(400, "the chunked coding is malformed");
    return {};
  }
  std::size_t consumed = input.size();
  if (result == HPE_PAUSED) {
    consumed = static_cast<std::size_t>(llhttp_get_error_pos(parser) - input.data());
    llhttp_resume(parser);
  }
  received_ += data_.size();
  meter(consumed - data_.size(), !data_.empty());
  // Only now, so that a line which is too long as well is judged alike however it was cut.
  if (state_ != progress::rejected && step_ == chunk_step::too_large) reject(413, "the body is too large");
  if (state_ == progress::rejected) return {};
  return {data_, consumed};
}

// llhttp has no limit on chunk lines, and no callback sees leading zeros; so everything that is
// not body counts, as one line from one body byte to the next.
void body_decoder::meter(std::size_t overhead, bool data_followed) {
  const auto before = std::max(line_, free_line);
  line_ += overhead;
  overhead_ += std::max(line_, free_line) - before;
  if (line_ > limits_.chunk_line) return reject(400, "a chunk line is too long");
  if (overhead_ > limits_.chunk_overhead) return reject(400, "the chunk lines cost too much");
  if (data_followed) line_ = 0;
}

body_decoder::piece body_decoder::next_trailers(std::string_view input) {
  if (section_.empty() && input.starts_with("\r\n")) return state_ = progress::complete, piece{{}, 2};
  const std::size_t before = section_.size();
  section_ += input.substr(0, limits_.trailers.head + 1 - before);
  const auto scanned = scanner_.scan(section_);
  if (scanned == progress::rejected) return reject(scanner_.why().status, scanner_.why().reason), piece{};
  if (scanned == progress::need_more) return {{}, section_.size() - before};
  read_trailers(std::string_view(section_).substr(0, scanner_.size()));
  if (state_ == progress::rejected) return {};
  state_ = progress::complete;
  return {{}, scanner_.size() - before};
}

void body_decoder::read_trailers(std::string_view section) {
  if (!detail::read_field_lines(section, trailers_)) return reject(400, "a trailer field is malformed");
  for (auto name : dropped_trailers) trailers_.remove(name);
}

progress body_decoder::finish() noexcept {
  if (state_ == progress::need_more && kind_ == body_kind::until_eof) state_ = progress::complete;
  return state_;
}

void body_decoder::reject(int status, std::string_view reason) {
  state_ = progress::rejected;
  why_ = {status, reason};
}

}  // namespace mobius::http
