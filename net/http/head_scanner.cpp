#include "head_scanner.hpp"

#include <algorithm>
#include <bit>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace mobius::http {

namespace {

// The longest method that is worth an answer of its own; a first word beyond it is no method.
constexpr std::size_t longest_method = 32;

// Folding, or a field without a name.
bool is_bad_start(char c) { return c == ' ' || c == '\t' || c == ':'; }

bool is_low(char c) { return static_cast<unsigned char>(c) <= '\r'; }

// The first byte up to and including '\r' in value, or `end`. That covers what ends a line and
// NUL; the tab and a few other controls stop here needlessly, but they are rare.
const char* find_low(const char* at, const char* end) {
#ifdef __SSE2__
  const __m128i limit = _mm_set1_epi8('\r');
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const int found = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(block, limit), block));
    if (found != 0) return at + std::countr_zero(static_cast<unsigned>(found));
  }
#endif
  return std::find_if(at, end, is_low);
}

}  // namespace

head_scanner::head_scanner(kind what, const head_limits& limits) noexcept : limits_(limits), kind_(what) {
  // A request head keeps its fields in place, in a table of fixed size.
  if (what == kind::request) limits_.fields = std::min(limits_.fields, max_request_fields);
}

void head_scanner::reset() noexcept {
  after_cr_ = false;
  offset_ = line_ = lines_ = start_ = start_line_size_ = 0;
  why_ = {};
}

progress head_scanner::scan(std::string_view buffer) noexcept {
  const char* const data = buffer.data();
  const std::size_t end = std::min(buffer.size(), limits_.head);
  std::size_t at = offset_;
  while (at < end) {
    if (!after_cr_) {
      const char first = data[at];
      if (at == line_ && is_bad_start(first)) return reject_start(first);
      at = static_cast<std::size_t>(find_low(data + at, data + end) - data);
      if (at == end) break;
      const char low = data[at++];
      if (low == '\t') continue;
      if (low == '\n') return reject(400, "a line feed is not preceded by a carriage return");
      if (low != '\r') return reject(400, "a line has a control byte in it");
      after_cr_ = true;
      if (at == end) break;
    }
    if (data[at] != '\n') return reject(400, "a carriage return is not followed by a line feed");
    offset_ = ++at;
    const auto state = end_line();
    if (state != progress::need_more) return state;
  }
  offset_ = at;
  return reject_over_limit(buffer);
}

progress head_scanner::end_line() noexcept {
  const std::size_t size = offset_ - 2 - line_;
  line_ = offset_;
  after_cr_ = false;
  const bool starts = lines_ == 0 && kind_ != kind::trailers;
  if (size == 0 && !starts) return progress::complete;
  if (size == 0) {
    if (kind_ == kind::response || start_ != 0) return reject(400, "the start line is empty");
    start_ = line_;
    return progress::need_more;
  }
  if (starts) {
    start_line_size_ = size;
    if (size > limits_.start_line) return reject(414, "the request line is too long");
  }
  const std::size_t fields = ++lines_ - (kind_ == kind::trailers ? 0 : 1);
  if (fields > limits_.fields) return reject(431, "there are too many header fields");
  return progress::need_more;
}

progress head_scanner::reject_over_limit(std::string_view buffer) noexcept {
  const bool in_start_line = lines_ == 0 && kind_ != kind::trailers;
  if (in_start_line && offset_ - line_ > limits_.start_line + (after_cr_ ? 1 : 0)) {
    const auto word = buffer.substr(line_, longest_method + 1);
    if (kind_ == kind::request && word.find(' ') == std::string_view::npos)
      return reject(400, "the request does not begin with a method");
    return reject(414, "the request line is too long");
  }
  if (buffer.size() >= limits_.head && offset_ >= limits_.head) return reject(431, "the head is too large");
  return progress::need_more;
}

progress head_scanner::reject_start(char first) noexcept {
  return reject(400, first == ':' ? "a header field has no name" : "a line begins with a blank");
}

progress head_scanner::reject(int status, std::string_view reason) noexcept {
  why_ = {status, reason};
  return progress::rejected;
}

}  // namespace mobius::http
