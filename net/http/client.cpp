#include "client.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "../../runtime/timeout.hpp"
#include "../name_resolver.hpp"
#include "../tcp.hpp"
#include "body_decoder.hpp"
#include "connection_pool.hpp"
#include "error.hpp"
#include "response_parser.hpp"
#include "writer.hpp"

namespace mobius::http {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using time_point = reactor::clock::time_point;

// A declared length is only a promise: no more memory than this is taken on its account.
constexpr std::uint64_t most_reserved = 1024 * 1024;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_disconnect(const failure& why) {
  const auto* error = why.get_if<std::system_error>();
  return error && (error->code().value() == ECONNRESET || error->code().value() == EPIPE);
}

// What a phase of an exchange may take.
struct allowance {
  allowance(phase p, milliseconds most) : which(p), limit(most) {}

  phase which;
  milliseconds limit;
  time_point begun = reactor::current().now();
};

// One request and its response.
class exchange {
 public:
  exchange(const url& target, const client_options& options, time_point deadline,
           detail::connection_pool* pool)
      : target_(target),
        pool_(pool),
        text_(target.to_string()),
        limits_(options.limits),
        fields_(options.headers),
        deadline_(deadline),
        parser_("GET " + text_, options.limits) {}

  task<response> run();

 private:
  template <class A>
  task<await_result_t<A>> within(allowance time, A operation);
  task<net::tcp_stream> connect();
  task<bool> converse_over_kept();
  task<> converse_over_new();
  task<> put_away(net::tcp_stream& stream, bool whole);
  bool keeps() const noexcept;
  task<> converse(net::tcp_stream& stream);
  task<> send_request(net::tcp_stream& stream);
  task<> read_head(net::tcp_stream& stream);
  task<> read_body(net::tcp_stream& stream);
  task<bool> read_more(net::tcp_stream& stream, allowance time);
  std::string request_text() const;
  void take_body();

  const url& target_;
  detail::connection_pool* pool_;  // none: the connection ends with the exchange
  std::string text_;
  const client_limits& limits_;
  const headers& fields_;
  time_point deadline_;
  response_parser parser_;
  body_decoder decoder_;
  std::string input_;
  std::string body_;
};

task<response> exchange::run() {
  const bool done = co_await converse_over_kept();
  if (!done) co_await converse_over_new();
  response_head& head = parser_.head();
  response answer;
  answer.status = head.status;
  answer.reason = std::move(head.reason);
  answer.headers = std::move(head.headers);
  answer.body = std::move(body_);
  co_return answer;
}

// False if there is no kept connection, or the server had closed it before this request came.
task<bool> exchange::converse_over_kept() {
  if (!pool_) co_return false;
  net::tcp_stream stream = pool_->take(target_.authority());
  if (!stream) co_return false;
  const result<void> outcome = co_await as_result(converse(stream));
  co_await put_away(stream, outcome.has_value());
  if (outcome) co_return true;
  if (!outcome.error().check<response_never_received>()) outcome.error().rethrow();
  input_.clear();
  co_return false;
}

task<> exchange::converse_over_new() {
  net::tcp_stream stream = co_await connect();
  const result<void> outcome = co_await as_result(converse(stream));
  co_await put_away(stream, outcome.has_value());
  if (!outcome) outcome.error().rethrow();
}

task<net::tcp_stream> exchange::connect() {
  const allowance for_look_up(phase::resolve, limits_.resolve);
  auto look_up = net::resolve(target_.host(), target_.port());
  std::vector<net::socket_address> addresses = co_await within(for_look_up, std::move(look_up));
  const allowance for_attempt(phase::connect, limits_.connect);
  auto attempt = net::connect(std::move(addresses), net::host_and_port(target_.host(), target_.port()));
  co_return co_await within(for_attempt, std::move(attempt));
}

task<> exchange::put_away(net::tcp_stream& stream, bool whole) {
  if (whole && keeps()) {
    pool_->put(target_.authority(), std::move(stream));
    co_return;
  }
  // Who is told of the end may rely on nothing being left.
  const result<void> closed = co_await as_result(stream.close());
  static_cast<void>(closed);  // the response is whole or has failed, whatever close says
}

// Whether the connection can carry another exchange: nothing of this one is left on it.
bool exchange::keeps() const noexcept {
  return pool_ && parser_.head().keep_alive && decoder_.state() == progress::complete && input_.empty();
}

// Awaits an operation until its phase, or the whole exchange, has no time left.
template <class A>
task<await_result_t<A>> exchange::within(allowance time, A operation) {
  const time_point until = std::min(deadline_, time.begun + time.limit);
  const nanoseconds left = until - reactor::current().now();
  auto outcome = co_await as_result(timeout(left, std::move(operation)));
  if (!outcome && outcome.error().template check<timed_out>()) {
    const milliseconds passed = until == deadline_ ? limits_.total : time.limit;
    throw exchange_timed_out(text_, time.which, mobius::detail::to_text(passed));
  }
  co_return std::move(outcome).value();
}

task<> exchange::converse(net::tcp_stream& stream) {
  co_await send_request(stream);
  co_await read_head(stream);
  decoder_.begin(parser_.head().body, limits_.body);
  if (is_redirect(parser_.head().status)) co_return;  // its body is for those who do not follow it
  co_await read_body(stream);
}

task<> exchange::send_request(net::tcp_stream& stream) {
  const std::string request = request_text();
  const allowance time(phase::request, limits_.response_head);
  const result<void> sent = co_await as_result(within(time, stream.write_all(request)));
  // A server may answer and close before it has read everything.
  if (!sent && !is_disconnect(sent.error())) sent.error().rethrow();
}

std::string exchange::request_text() const {
  headers fields = fields_;
  if (!pool_) fields.set("Connection", "close");
  if (!fields.contains("User-Agent")) fields.add("User-Agent", "mobius");
  if (!fields.contains("Accept")) fields.add("Accept", "*/*");
  std::string text;
  write_request_head(text, method::get, target_, fields);
  return text;
}

task<> exchange::read_head(net::tcp_stream& stream) {
  parser_.begin(method::get);
  const allowance time(phase::response_head, limits_.response_head);
  for (;;) {
    const bool more = co_await read_more(stream, time);
    if (!more) parser_.throw_cut_off();
    const auto step = parser_.parse(input_);
    input_.erase(0, step.consumed);
    if (step.complete) co_return;
  }
}

task<> exchange::read_body(net::tcp_stream& stream) {
  body_.reserve(std::min(parser_.head().body.length, most_reserved));
  take_body();
  while (decoder_.state() == progress::need_more) {
    const allowance time(phase::response_body, limits_.body_idle);
    const bool more = co_await read_more(stream, time);
    if (more) {
      take_body();
    } else if (decoder_.finish() != progress::complete) {
      parser_.throw_cut_off(std::move(body_));
    }
  }
}

void exchange::take_body() {
  std::string_view rest = input_;
  while (!rest.empty() && decoder_.state() == progress::need_more) {
    const auto piece = decoder_.next(rest);
    body_ += piece.data;
    rest.remove_prefix(piece.consumed);
  }
  input_.erase(0, input_.size() - rest.size());
  if (decoder_.state() == progress::rejected) parser_.throw_refused(decoder_.why());
}

// Adds what comes to the input; false at the end of the stream.
task<bool> exchange::read_more(net::tcp_stream& stream, allowance time) {
  const result<lease> more = co_await as_result(within(time, stream.receive()));
  if (!more && is_disconnect(more.error())) parser_.throw_cut_off(std::move(body_));
  if (!more) more.error().rethrow();
  input_ += more->text();
  co_return !more->empty();
}

url redirect_target(const url& from, const response& answer) {
  const std::string call =
      "request " + from.to_string() + ": the redirect (" + std::to_string(answer.status) + ") ";
  const auto locations = answer.headers.get_all("Location");
  if (locations.empty()) throw redirect_error(call + "has no Location");
  if (locations.size() > 1) throw redirect_error(call + "has more than one Location");
  try {
    return resolve(from, locations.front());
  } catch (const invalid_url& error) {
    throw redirect_error(call + "cannot be followed: " + error.what());
  }
}

task<fetched> fetch_over(std::shared_ptr<detail::connection_pool> pool, std::string text,
                         client_options options) {
  url target = parse_url(text);
  const time_point deadline = reactor::current().now() + options.limits.total;
  for (int hop = 0;; ++hop) {
    if (target.secure()) throw tls_unavailable(target.to_string());
    exchange one(target, options, deadline, pool.get());
    response answer = co_await one.run();
    if (!is_redirect(answer.status)) co_return fetched(std::move(target), std::move(answer));
    if (hop == options.limits.redirects) {
      throw redirect_error("request " + parse_url(text).to_string() + ": more than " + std::to_string(hop) +
                           " redirects; the last came from " + target.to_string());
    }
    url next = redirect_target(target, answer);
    if (!next.same_origin(target)) {
      for (const char* secret : {"Authorization", "Cookie", "Proxy-Authorization"})
        options.headers.remove(secret);
    }
    target = std::move(next);
  }
}

deferred<std::string> get_page_over(std::shared_ptr<detail::connection_pool> pool, std::string url,
                                    client_options options) {
  fetched page = co_await fetch_over(std::move(pool), std::move(url), std::move(options));
  response& answer = page.response;
  if (answer.status < 200 || answer.status > 202) {
    throw status_error(page.url.to_string(), answer.status, std::move(answer.reason), std::move(answer.body));
  }
  co_return std::move(answer.body);
}

}  // namespace

task<fetched> fetch(std::string url, client_options options) {
  return fetch_over(nullptr, std::move(url), std::move(options));
}

deferred<std::string> get_page(std::string url, client_options options) {
  return get_page_over(nullptr, std::move(url), std::move(options));
}

client::client(client_options options)
    : options_(std::move(options)),
      pool_(std::make_shared<detail::connection_pool>(reactor::current(), options_.limits)) {}

task<fetched> client::fetch(std::string url) const { return fetch_over(pool_, std::move(url), options_); }

deferred<std::string> client::get_page(std::string url) const {
  return get_page_over(pool_, std::move(url), options_);
}

std::size_t client::idle_connections() const noexcept { return pool_->size(); }

void client::close_idle() noexcept { pool_->clear(); }

}  // namespace mobius::http
