#pragma once
// One connection of a server. Private to the library.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../../deferred/coroutine.hpp"
#include "../../deferred/resolver.hpp"
#include "../../runtime/list_link.hpp"
#include "../../runtime/reactor.hpp"
#include "../tcp.hpp"
#include "body_decoder.hpp"
#include "request_parser.hpp"
#include "server.hpp"
#include "side_sender.hpp"
#include "wait_limit.hpp"
#include "writer.hpp"

namespace mobius::http::detail {

namespace core = mobius::detail;

class connection;

/// What the connections of a server share, and keep alive.
struct site {
  site(server::handler f, server_options o) : handler(std::move(f)), options(std::move(o)) {}

  /// Calls the handler; what it throws before there is a task comes out of the task as well.
  task<response> call(request& asked);
  /// The Date field line, made once a turn.
  std::string_view date(std::int64_t now);
  /// Begins to serve a stream.
  static void start(const std::shared_ptr<site>& self, net::tcp_stream stream);
  /// Closes the listeners and all connections that wait for a request.
  void begin_stop() noexcept;
  /// Cancels all connections.
  void abort() noexcept;
  /// Ends when there is no connection.
  task<> all_gone();

  server::handler handler;
  server_options options;
  core::list_link connections;
  std::size_t count = 0;
  std::size_t answering = 0;  // requests whose handler runs
  bool stopping = false;
  std::vector<net::tcp_listener*> listeners;  // that are being served
  std::vector<resolver<void>> waiting;        // for the last connection to end

 private:
  date_line line_;
  std::string_view text_;
  std::int64_t made_ = -1;
};

/// Reads requests, has them answered, and writes the responses. Unread input lies in a received
/// buffer, or, when a head came in pieces, in memory of its own.
class connection : public core::pooled, public core::list_link {
 public:
  connection(site& s, net::tcp_stream stream);
  ~connection();

  /// Serves it to its end. After it, however it ended, `settled` is to be awaited.
  task<> serve();
  /// Waits until no send needs the connection any more.
  side_sender::settled_awaiter settled() noexcept {
    side_.abandon();
    return side_.settled();
  }
  /// Ends it if it waits for a request; a request that has just come is still answered.
  void stop_if_idle() noexcept;
  /// Cancels it.
  void abort() noexcept { ctx_->cancel(); }
  /// Names the context of the chain that serves it.
  void set_context(core::context& ctx) noexcept { ctx_ = &ctx; }

 private:
  using time_point = reactor::clock::time_point;
  using nanoseconds = std::chrono::nanoseconds;

  task<bool> read_body();
  task<> flush();
  task<bool> send(std::string_view bytes);
  task<> finish();
  task<> linger();

  bool flushes_at_once() const noexcept { return out_.size() <= send_piece && large_body_.empty(); }
  void note_flushed(const result<void>& sent) noexcept;
  nanoseconds begin_read();
  bool end_read(result<lease>&& more);
  void begin_request();
  void begin_body();
  void take_body();
  void end_request();
  void respond(response&& answer);
  void append(response&& answer);
  void append_failure(const failure& why);
  void refuse(int status);
  void own_input();
  time_point body_deadline() const;
  std::string_view date() { return site_.date(reactor_.now_ns()); }
  bool has_output() const noexcept { return !out_.empty() || !large_body_.empty(); }

  site& site_;
  const server_limits& limits_;
  reactor& reactor_;
  net::tcp_stream stream_;
  core::context* ctx_ = nullptr;

  lease lease_;             // the received buffer that input, and perhaps the head, lie in
  std::string kept_;        // the same in our own memory
  std::string_view input_;  // what has come and is not used yet
  request_parser parser_;
  body_decoder decoder_;
  request request_;
  std::string_view head_bytes_;  // of the request, in the buffer or in kept_
  time_point head_deadline_{};
  time_point body_begun_{};

  std::string out_;         // responses that are ready
  std::string large_body_;  // goes out behind them
  side_sender side_;        // sends out_ while a handler runs
  wait_limit limit_;        // of the wait that this is in

  bool idle_ = false;        // waits for the first byte of a request
  bool head_timed_ = false;  // head_deadline_ counts
  bool keep_alive_ = true;
  bool ended_ = false;   // the peer has sent its last byte
  bool broken_ = false;  // nothing can be sent any more
  bool linger_ = false;  // the peer may still send, and must not lose the answer by it
};

}  // namespace mobius::http::detail
