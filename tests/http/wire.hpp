#pragma once
// A server connection without a socket: what it would do with a stream of bytes, as text.

#include <mobius/net/http/body_decoder.hpp>
#include <mobius/net/http/request_parser.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace wire {

/// Takes bytes in any pieces and notes each message: "GET /path", "POST / [body]", with
/// " expects", " close" and " trailers:n" behind it where they apply, "400" for a rejection,
/// "cut" for an end of stream inside a message. Nothing is read behind a rejection or a close.
class connection {
 public:
  explicit connection(mobius::http::server_limits limits = {}) : limits_(limits), parser_(limits) {}

  void receive(std::string_view bytes) {
    buffer_ += bytes;
    while (!closed_ && step()) {
    }
  }

  std::string finish() {
    if (!closed_ && (in_body_ || parser_.begun())) note("cut");
    return notes_;
  }

 private:
  using progress = mobius::http::progress;

  bool step() { return in_body_ ? read_body() : read_head(); }

  bool read_head() {
    const auto state = parser_.parse(buffer_, head_);
    if (state == progress::need_more) return false;
    if (state == progress::rejected) return refuse(parser_.why());
    message_ = std::string(mobius::http::method_name(head_.method())) + " " + std::string(head_.path());
    if (!head_.query().empty()) message_ += "?" + std::string(head_.query());
    expects_ = head_.expects_continue();
    keep_alive_ = head_.keep_alive();
    decoder_.begin(head_.body(), limits_.body);
    buffer_.erase(0, parser_.size());
    parser_.reset();
    in_body_ = true;
    return true;
  }

  bool read_body() {
    while (decoder_.state() == progress::need_more && !buffer_.empty()) {
      const auto piece = decoder_.next(buffer_);
      body_ += piece.data;
      buffer_.erase(0, piece.consumed);
    }
    if (decoder_.state() == progress::need_more) return false;
    if (decoder_.state() == progress::rejected) return refuse(decoder_.why());
    if (!body_.empty()) message_ += " [" + body_ + "]";
    if (!decoder_.trailers().empty()) message_ += " trailers:" + std::to_string(decoder_.trailers().size());
    if (expects_) message_ += " expects";
    if (!keep_alive_) message_ += " close";
    note(message_);
    closed_ = !keep_alive_;
    in_body_ = false;
    body_.clear();
    return true;
  }

  bool refuse(const mobius::http::rejection& why) {
    note(std::to_string(why.status));
    closed_ = true;
    return false;
  }

  void note(const std::string& what) { notes_ += (notes_.empty() ? "" : "; ") + what; }

  mobius::http::server_limits limits_;
  mobius::http::request_parser parser_;
  mobius::http::request_head head_;
  mobius::http::body_decoder decoder_;
  std::string buffer_;
  std::string body_;
  std::string message_;
  std::string notes_;
  bool in_body_ = false;
  bool closed_ = false;
  bool expects_ = false;
  bool keep_alive_ = true;
};

/// What a connection makes of `pieces`.
inline std::string outcome(const std::vector<std::string_view>& pieces,
                           mobius::http::server_limits limits = {}) {
  connection peer(limits);
  for (auto piece : pieces) peer.receive(piece);
  return peer.finish();
}

/// Positions at which to split `size` bytes in two: all of them, or a spread of large messages.
inline std::vector<std::size_t> split_points(std::size_t size) {
  std::vector<std::size_t> points;
  const std::size_t stride = size <= 1024 ? 1 : size / 97;
  for (std::size_t at = 1; at < size; at += stride) points.push_back(at);
  return points;
}

/// Each byte of `bytes` as a piece of its own.
inline std::vector<std::string_view> single_bytes(std::string_view bytes) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < bytes.size(); ++at) pieces.push_back(bytes.substr(at, 1));
  return pieces;
}

}  // namespace wire
