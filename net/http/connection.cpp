#include "connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace mobius::http::detail {

namespace {

using std::chrono::milliseconds;

// What may be ready before it is sent. A larger body is sent from where it is.
constexpr std::size_t most_output = 64 * 1024;

// Received buffers are few, and all streams share them: with more handlers than this at work, the
// next request is copied out of its buffer first.
constexpr std::size_t most_lent = 64;

// Counts something as long as it lives.
class counted {
 public:
  explicit counted(std::size_t& count) noexcept : count_(count) { ++count_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --count_; }

 private:
  std::size_t& count_;
};

// Where the peer has gone already there is nothing to do, and nobody to tell.
void shut_down(const net::tcp_stream& stream, int how) noexcept {
  const int fd = stream.native_handle();
  if (fd >= 0) ::shutdown(fd, how);
}

// The methods that reach a handler.
response refuse_trace() {
  response answer = response::text(405, "405 Method Not Allowed\n");
  answer.headers.add("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
  return answer;
}

}  // namespace

connection::connection(site& s, net::tcp_stream stream)
    : site_(s),
      limits_(s.options.limits),
      reactor_(reactor::current()),
      stream_(std::move(stream)),
      parser_(s.options.limits),
      side_(stream_, out_, limits_.write_stall),
      limit_(reactor_) {
  link_before(s.connections);
  ++s.count;
}

connection::~connection() { --site_.count; }

// Handlers that end at once are answered one after the other, as long as there is input; only then,
// or when a handler takes its time, does what is ready go out. The waits of an ordinary request stand
// here and not in tasks of their own, as each of those would cost it a frame.
task<> connection::serve() {
  while (keep_alive_ && !broken_) {
    const progress head = input_.empty() ? progress::need_more : parser_.parse(input_, request_.head());
    if (head == progress::rejected) {
      refuse(parser_.why().status);
      break;
    }
    if (head == progress::need_more) {
      if (has_output()) {
        if (flushes_at_once()) {
          limit_.begin(*ctx_, limits_.write_stall);
          const result<void> sent = co_await as_result(stream_.write_all(out_));
          note_flushed(sent);
        } else {
          co_await flush();
        }
        if (broken_) break;
      }
      if (site_.stopping && input_.empty()) break;
      limit_.begin(*ctx_, begin_read());
      result<lease> more = co_await as_result(stream_.receive());
      if (!end_read(std::move(more))) break;
      continue;
    }
    begin_request();
    if (decoder_.state() != progress::complete) {
      const bool whole = co_await read_body();
      if (!whole) break;
    }
    if (request_.method() == method::trace) {
      respond(refuse_trace());
    } else {
      const counted at_work(site_.answering);
      if (!out_.empty()) side_.begin();
      try {
        response answer = co_await site_.call(request_);
        respond(std::move(answer));
      } catch (const cancelled&) {
        if (ctx_->stopping()) throw;
        append_failure(failure());
      } catch (...) {
        append_failure(failure());
      }
      side_.end();
      if (side_.sending()) co_await side_.settled();
      broken_ = side_.failed();
    }
    end_request();
    if (!flushes_at_once()) co_await flush();
  }
  co_await finish();
}

void connection::stop_if_idle() noexcept {
  // Not a cancel: a request that has come in this very turn is still read and answered.
  if (idle_) shut_down(stream_, SHUT_RD);
}

// --- reading -----------------------------------------------------------------------------------

// Makes room for more of a head, and gives how long it may take to come.
connection::nanoseconds connection::begin_read() {
  idle_ = input_.empty();
  if (!idle_ && !std::exchange(head_timed_, true)) head_deadline_ = reactor_.now() + limits_.head_deadline;
  if (lease_) {
    kept_.assign(input_);
    lease_.reset();
  } else {
    kept_.erase(0, kept_.size() - input_.size());
  }
  if (idle_) return limits_.keep_alive_idle;
  return head_deadline_ - reactor_.now();
}

// Takes what has come; false if that is the end.
bool connection::end_read(result<lease>&& more) {
  const bool first = std::exchange(idle_, false);
  const bool expired = limit_.end();
  // Silence is not answered: some clients take a 408 for the answer to their next request.
  if (!more && expired && parser_.begun()) refuse(408);
  if (!more) return false;
  ended_ = more->empty();
  if (ended_) return false;
  if (first) {
    lease_ = std::move(*more);
    input_ = lease_.text();
  } else {
    kept_.append(more->text());
    input_ = kept_;
  }
  return true;
}

// The rest of a body that has not come with its head.
task<bool> connection::read_body() {
  bool expected = request_.head().expects_continue() && decoder_.received() == 0 && input_.empty();
  while (decoder_.state() == progress::need_more) {
    if (std::exchange(expected, false)) out_ += continue_response;
    if (has_output()) co_await flush();
    if (broken_) co_return false;
    own_input();
    limit_.begin(*ctx_, body_deadline() - reactor_.now());
    result<lease> more = co_await as_result(stream_.receive());
    const bool expired = limit_.end();
    if (!more && expired) refuse(408);
    if (!more) co_return false;
    ended_ = more->empty();
    if (ended_) co_return false;
    lease_ = std::move(*more);
    input_ = lease_.text();
    take_body();
  }
  if (decoder_.state() == progress::rejected) refuse(decoder_.why().status);
  co_return decoder_.state() == progress::complete;
}

connection::time_point connection::body_deadline() const {
  const std::uint64_t rate = std::max<std::uint64_t>(limits_.body_rate, 1);
  return body_begun_ + limits_.body_grace + milliseconds(decoder_.received() * 1000 / rate);
}

void connection::begin_request() {
  head_timed_ = false;
  head_bytes_ = input_.substr(0, parser_.size());
  input_.remove_prefix(parser_.size());
  parser_.reset();
  reuse(request_.body_buffer());
  if (request_.head().body().kind != body_kind::none) begin_body();
  if (lease_ && site_.answering >= most_lent) own_input();
}

void connection::begin_body() {
  decoder_.begin(request_.head().body(), limits_.body);
  if (decoder_.state() != progress::need_more) return;
  body_begun_ = reactor_.now();
  take_body();
}

void connection::take_body() {
  while (!input_.empty() && decoder_.state() == progress::need_more) {
    const auto piece = decoder_.next(input_);
    request_.body_buffer() += piece.data;
    input_.remove_prefix(piece.consumed);
  }
}

// Moves the head and the unread input out of the received buffer, and gives that back.
void connection::own_input() {
  if (!lease_) return;
  const std::string_view buffer = lease_.text();
  const bool head_too =
      head_bytes_.data() >= buffer.data() && head_bytes_.data() < buffer.data() + buffer.size();
  const std::size_t head_size = head_bytes_.size();
  if (head_too) kept_.assign(head_bytes_);
  const std::size_t head_at = head_too ? 0 : static_cast<std::size_t>(head_bytes_.data() - kept_.data());
  const std::size_t input_at = kept_.size();
  kept_.append(input_);
  head_bytes_ = std::string_view(kept_).substr(head_at, head_size);
  request_.head().rebase(kept_.data() + head_at);
  input_ = std::string_view(kept_).substr(input_at);
  lease_.reset();
}

// --- answering ---------------------------------------------------------------------------------

void connection::respond(response&& answer) {
  try {
    append(std::move(answer));
  } catch (...) {
    append_failure(failure());
  }
}

void connection::append(response&& answer) {
  const auto& head = request_.head();
  response_context context;
  context.method = head.method();
  context.version_minor = head.version_minor();
  context.keep_alive = head.keep_alive() && !site_.stopping;
  context.date = date();
  const written_head written = write_head(out_, answer, context);
  keep_alive_ = written.keep_alive;
  linger_ = !keep_alive_;
  if (!written.send_body) return;
  if (answer.body.size() > most_output) {
    large_body_ = std::move(answer.body);
  } else {
    out_ += answer.body;
  }
}

void connection::append_failure(const failure& why) {
  std::string where = "http::server, the handler of ";
  where.append(method_name(request_.method())).append(" ").append(request_.path());
  report_unhandled(why, where);
  append(response::text(500, "500 Internal Server Error\n"));
}

// An answer to what no handler has seen. Nothing behind it is read as a request.
void connection::refuse(int status) {
  write_error(out_, status, date());
  keep_alive_ = false;
  linger_ = true;
}

void connection::end_request() {
  head_bytes_ = {};
  if (input_.empty()) lease_.reset();
}

// --- writing -----------------------------------------------------------------------------------

void connection::note_flushed(const result<void>& sent) noexcept {
  limit_.end();
  broken_ = !sent;
  reuse(out_);
}

task<> connection::flush() {
  const bool sent = co_await send(out_);
  reuse(out_);
  if (sent && !large_body_.empty()) co_await send(large_body_);
  large_body_ = std::string();
}

task<bool> connection::send(std::string_view bytes) {
  while (!bytes.empty() && !broken_) {
    const std::string_view piece = bytes.substr(0, send_piece);
    limit_.begin(*ctx_, limits_.write_stall);
    const result<void> sent = co_await as_result(stream_.write_all(piece));
    limit_.end();
    broken_ = !sent;
    bytes.remove_prefix(piece.size());
  }
  co_return !broken_;
}

task<> connection::finish() {
  lease_.reset();
  if (!broken_ && has_output()) co_await flush();
  if (broken_) {
    // What the kernel still holds for a peer that takes nothing is thrown away.
    constexpr ::linger at_once{1, 0};
    ::setsockopt(stream_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  } else if (linger_ && !ended_) {
    co_await linger();
  }
  const result<void> closed = co_await as_result(stream_.close());
  static_cast<void>(closed);  // there is nobody to tell
}

// Closing with unread input resets the connection, and the peer may lose the answer by it.
task<> connection::linger() {
  shut_down(stream_, SHUT_WR);
  const time_point until = reactor_.now() + limits_.linger;
  std::uint64_t left = limits_.linger_bytes;
  while (left != 0) {
    limit_.begin(*ctx_, until - reactor_.now());
    const result<lease> more = co_await as_result(stream_.receive());
    limit_.end();
    if (!more || more->empty()) co_return;
    left -= std::min<std::uint64_t>(left, more->size());
  }
}

}  // namespace mobius::http::detail
