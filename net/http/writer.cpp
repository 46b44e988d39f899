#include "writer.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "error.hpp"
#include "text.hpp"

namespace mobius::http {

namespace {

struct status_text {
  int status;
  std::string_view line;
};

constexpr std::string_view version = "HTTP/1.1 ";

// Sorted by status; the reason phrase is the part behind the status.
constexpr status_text status_lines[] = {
    {100, "HTTP/1.1 100 Continue\r\n"},
    {101, "HTTP/1.1 101 Switching Protocols\r\n"},
    {103, "HTTP/1.1 103 Early Hints\r\n"},
    {200, "HTTP/1.1 200 OK\r\n"},
    {201, "HTTP/1.1 201 Created\r\n"},
    {202, "HTTP/1.1 202 Accepted\r\n"},
    {203, "HTTP/1.1 203 Non-Authoritative Information\r\n"},
    {204, "HTTP/1.1 204 No Content\r\n"},
    {205, "HTTP/1.1 205 Reset Content\r\n"},
    {206, "HTTP/1.1 206 Partial Content\r\n"},
    {300, "HTTP/1.1 300 Multiple Choices\r\n"},
    {301, "HTTP/1.1 301 Moved Permanently\r\n"},
    {302, "HTTP/1.1 302 Found\r\n"},
    {303, "HTTP/1.1 303 See Other\r\n"},
    {304, "HTTP/1.1 304 Not Modified\r\n"},
    {307, "HTTP/1.1 307 Temporary Redirect\r\n"},
    {308, "HTTP/1.1 308 Permanent Redirect\r\n"},
    {400, "HTTP/1.1 400 Bad Request\r\n"},
    {401, "HTTP/1.1 401 Unauthorized\r\n"},
    {402, "HTTP/1.1 402 Payment Required\r\n"},
    {403, "HTTP/1.1 403 Forbidden\r\n"},
    {404, "HTTP/1.1 404 Not Found\r\n"},
    {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
    {406, "HTTP/1.1 406 Not Acceptable\r\n"},
    {407, "HTTP/1.1 407 Proxy Authentication Required\r\n"},
    {408, "HTTP/1.1 408 Request Timeout\r\n"},
    {409, "HTTP/1.1 409 Conflict\r\n"},
    {410, "HTTP/1.1 410 Gone\r\n"},
    {411, "HTTP/1.1 411 Length Required\r\n"},
    {412, "HTTP/1.1 412 Precondition Failed\r\n"},
    {413, "HTTP/1.1 413 Content Too Large\r\n"},
    {414, "HTTP/1.1 414 URI Too Long\r\n"},
    {415, "HTTP/1.1 415 Unsupported Media Type\r\n"},
    {416, "HTTP/1.1 416 Range Not Satisfiable\r\n"},
    {417, "HTTP/1.1 417 Expectation Failed\r\n"},
    {421, "HTTP/1.1 421 Misdirected Request\r\n"},
    {422, "HTTP/1.1 422 Unprocessable Content\r\n"},
    {426, "HTTP/1.1 426 Upgrade Required\r\n"},
    {428, "HTTP/1.1 428 Precondition Required\r\n"},
    {429, "HTTP/1.1 429 Too Many Requests\r\n"},
    {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
    {451, "HTTP/1.1 451 Unavailable For Legal Reasons\r\n"},
    {500, "HTTP/1.1 500 Internal Server Error\r\n"},
    {501, "HTTP/1.1 501 Not Implemented\r\n"},
    {502, "HTTP/1.1 502 Bad Gateway\r\n"},
    {503, "HTTP/1.1 503 Service Unavailable\r\n"},
    {504, "HTTP/1.1 504 Gateway Timeout\r\n"},
    {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
};

std::string_view find_status_line(int status) {
  if (status == 200) return status_lines[3].line;
  const auto* at =
      std::lower_bound(std::begin(status_lines), std::end(status_lines), status,
                       [](const status_text& entry, int wanted) { return entry.status < wanted; });
  return at != std::end(status_lines) && at->status == status ? at->line : std::string_view();
}

// Puts short pieces together in place, so that they cost one append.
class line_buffer {
 public:
  template <std::size_t N>
  void add(const char (&literal)[N]) noexcept {
    std::memcpy(end_, literal, N - 1);
    end_ += N - 1;
  }
  void add(std::uint64_t number) noexcept {
    end_ = std::to_chars(end_, text_.data() + text_.size(), number).ptr;
  }
  std::string_view text() const noexcept {
    return {text_.data(), static_cast<std::size_t>(end_ - text_.data())};
  }

 private:
  std::array<char, 96> text_;
  char* end_ = text_.data();
};

void add_length(line_buffer& out, std::uint64_t length) {
  out.add("Content-Length: ");
  out.add(length);
  out.add("\r\n");
}

void check_status(const response& answer) {
  if (answer.status < 200 || answer.status > 999)
    throw invalid_message("a response cannot have the status " + std::to_string(answer.status) +
                          "; use 200 to 999");
  if (!detail::all_class(answer.reason, detail::class_value))
    throw invalid_message("the reason phrase " + detail::quoted(answer.reason) + " has a control byte in it");
}

void append_status_line(std::string& out, const response& answer) {
  const auto ready = find_status_line(answer.status);
  if (answer.reason.empty() && !ready.empty()) {
    out += ready;
    return;
  }
  out.append(version).append(std::to_string(answer.status)).append(" ").append(answer.reason).append("\r\n");
}

// The fields of a response by which a handler speaks about framing, which is ours.
struct framing_fields {
  bool close = false;
  bool measured = false;
  bool any = false;
  bool dated = false;
  std::uint64_t length = 0;
};

bool is_framing(std::string_view name) {
  using detail::equals_lower;
  switch (name.size()) {
    case 7:
      return equals_lower(name, "upgrade");
    case 10:
      return equals_lower(name, "connection");
    case 14:
      return equals_lower(name, "content-length");
    case 17:
      return equals_lower(name, "transfer-encoding");
    default:
      return false;
  }
}

void read_connection(std::string_view value, framing_fields& found) {
  detail::for_each_element(value, [&](std::string_view option) {
    if (detail::equals_lower(option, "close"))
      found.close = true;
    else if (!detail::equals_lower(option, "keep-alive"))
      throw invalid_header("Connection", "a response says close or keep-alive, the rest is the library's");
    return true;
  });
}

framing_fields read_framing(const headers& fields) {
  framing_fields found;
  if (fields.wire().second.empty()) return found;  // what was ready-made does not frame
  for (const auto [name, value] : fields) {
    if (detail::equals_lower(name, "date")) found.dated = true;
    if (!is_framing(name)) continue;
    found.any = true;
    if (name.size() == 10) {
      read_connection(value, found);
    } else if (name.size() != 14) {
      throw invalid_header(name, "the library decides how a response is framed; leave it out");
    } else if (std::exchange(found.measured, true) || !detail::parse_decimal(value, found.length)) {
      throw invalid_header(name, "it must be one number; the library writes it by itself");
    }
  }
  return found;
}

// A length without its body is right only where no body goes out (RFC 9110 8.6).
std::uint64_t decide_length(const framing_fields& found, const response& answer, bool bodiless) {
  const std::uint64_t size = answer.body.size();
  if (!found.measured || found.length == size) return size;
  if (bodiless && size == 0) return found.length;
  throw invalid_header("Content-Length", "it says " + std::to_string(found.length) + " and the body has " +
                                             std::to_string(size) +
                                             " bytes; the library writes it by itself");
}

void append_fields(std::string& out, const headers& fields, bool framing_among_them) {
  if (!framing_among_them) {
    const auto [first, second] = fields.wire();
    out += first;
    if (!second.empty()) out += second;
    return;
  }
  for (const auto [name, value] : fields)
    if (!is_framing(name)) out.append(name).append(": ").append(value).append("\r\n");
}

void check_request_fields(const headers& fields) {
  for (const auto [name, value] : fields) {
    const bool ours = detail::equals_lower(name, "host") || detail::equals_lower(name, "content-length") ||
                      detail::equals_lower(name, "transfer-encoding") ||
                      detail::equals_lower(name, "upgrade");
    if (ours) throw invalid_header(name, "the library writes it by itself; leave it out");
  }
}

// RFC 9110 8.6: these say how long their body is also when it is empty.
bool always_measured(method which) {
  return which == method::post || which == method::put || which == method::patch;
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
  auto line = find_status_line(status);
  if (line.empty()) return {};
  line.remove_prefix(version.size() + 4);
  line.remove_suffix(2);
  return line;
}

std::string_view date_line::at(std::chrono::system_clock::time_point now) noexcept {
  using namespace std::chrono;
  constexpr std::string_view days = "SunMonTueWedThuFriSat";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto second = floor<seconds>(now);
  if (second != std::exchange(second_, second)) {
    const auto day = floor<std::chrono::days>(second);
    const year_month_day date(day);
    const hh_mm_ss time(second - day);
    std::string_view form = "Date: Sun, 00 Jan 0000 00:00:00 GMT\r\n";
    form.copy(text_.data(), text_.size());
    auto number = [this](std::size_t at, int width, long value) {
      for (int i = width; i-- > 0; value /= 10)
        text_[at + static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
    };
    days.substr(weekday(day).c_encoding() * 3, 3).copy(&text_[6], 3);
    number(11, 2, static_cast<long>(unsigned(date.day())));
    months.substr((unsigned(date.month()) - 1) * 3, 3).copy(&text_[14], 3);
    number(18, 4, int(date.year()));
    number(23, 2, time.hours().count());
    number(26, 2, time.minutes().count());
    number(29, 2, time.seconds().count());
  }
  return {text_.data(), text_.size()};
}

written_head write_head(std::string& out, const response& answer, const response_context& context) {
  check_status(answer);
  const auto found = read_framing(answer.headers);
  const bool no_content = answer.status == 204;
  const bool bodiless = no_content || answer.status == 304 || context.method == method::head;
  const auto length = decide_length(found, answer, bodiless);
  const bool keep_alive = context.keep_alive && !found.close;

  append_status_line(out, answer);
  if (!found.dated) out += context.date;
  append_fields(out, answer.headers, found.any);
  line_buffer last;
  // A 304 tells the length of what it stands for, or nothing.
  if (!no_content && (answer.status != 304 || length != 0)) add_length(last, length);
  if (!keep_alive)
    last.add("Connection: close\r\n");
  else if (context.version_minor == 0)
    last.add("Connection: keep-alive\r\n");
  last.add("\r\n");
  out += last.text();
  return {keep_alive, !bodiless && length != 0};
}

void write_error(std::string& out, int status, std::string_view date) {
  response answer = response::text(status, std::to_string(status) + " ");
  answer.body.append(reason_phrase(status)).append("\n");
  response_context context;
  context.keep_alive = false;
  context.date = date;
  write_head(out, answer, context);
  out += answer.body;
}

void write_request_head(std::string& out, method which, const url& target, const headers& fields,
                        std::size_t body_size) {
  write_request_head(out, which, target.target(), target.authority(), fields, body_size);
}

void write_request_head(std::string& out, method which, std::string_view target, std::string_view host,
                        const headers& fields, std::size_t body_size) {
  const bool printable =
      std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (target.empty() || !printable)
    throw invalid_message("the request target " + detail::quoted(target) +
                          " is empty or has a byte that ends it");
  if (!detail::is_authority(host))
    throw invalid_message("the host " + detail::quoted(host) + " is no host and port");
  check_request_fields(fields);
  out.append(method_name(which))
      .append(" ")
      .append(target)
      .append(" HTTP/1.1\r\nHost: ")
      .append(host)
      .append("\r\n");
  append_fields(out, fields, false);
  line_buffer last;
  if (body_size != 0 || always_measured(which)) add_length(last, body_size);
  last.add("\r\n");
  out += last.text();
}

}  // namespace mobius::http
