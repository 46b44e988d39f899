#pragma once
// Protocols on streams and back: the transport over any kind of stream, `start_protocol`,
// `run_protocol`, and `take_stream`.

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include "../../deferred/resolver.hpp"
#include "../stream.hpp"
#include "callback_wait.hpp"
#include "protocol.hpp"
#include "transport.hpp"

namespace mobius::net {

/// What `take_stream` gives: the stream, and bytes that come before what it gives.
template <stream S>
struct taken_stream {
  S stream;
  std::string unread;
};

namespace detail {

template <stream S>
class stream_transport final : public transport {
 public:
  explicit stream_transport(S s) noexcept : stream_(std::move(s)) {}

  using transport::start;
  deferred<taken_stream<S>> take();

  std::string_view application_protocol() const noexcept override {
    return stream_ ? std::string_view(stream_.application_protocol()) : std::string_view();
  }
  int native_handle() const noexcept override {
    if constexpr (requires(const S& s) { s.native_handle(); }) {
      return stream_ ? stream_.native_handle() : -1;
    } else {
      return -1;
    }
  }

 private:
  // What is sent at a time; it lives while something is.
  class sender;
  using receiving = decltype(std::declval<S&>().receive());

  bool begin_receive() override;
  result<lease> take_input() override { return read_.outcome(); }
  bool begin_send(send_queue& queue) override;
  result<std::size_t> take_sent() override;
  void end_output() override { stream_.shutdown_write(); }
  void close_stream(bool reset) noexcept override;
  socket_address stream_peer() const noexcept override;
  socket_address stream_host() const noexcept override;
  void flushed() noexcept override { hand_over(); }
  void ended(const failure& reason) noexcept override;

  void input_arrived() noexcept;
  void sent() noexcept;
  void hand_over() noexcept;

  S stream_;  // empty at the end
  callback_wait<receiving, stream_transport, &stream_transport::input_arrived> read_{*this};
  std::unique_ptr<sender> sender_;
  std::unique_ptr<resolver<taken_stream<S>>> taker_;
};

template <stream S>
class stream_transport<S>::sender : public core::pooled {
 public:
  explicit sender(stream_transport& owner) noexcept : owner_(owner) {}
  ~sender() {
    while (first_) std::exchange(first_, first_->next)->free();
  }

  /// Takes pieces out of the queue and sends them; true if that ended at once.
  bool start(send_queue& queue) {
    first_ = queue.pop();
    size_ = first_->bytes().size();
    if (queue.empty()) {
      return one_.emplace(owner_).start(
          [this] { return owner_.stream_.write_all(const_buffer(first_->bytes())); });
    }
    several_ = std::make_unique<gathered>(owner_);
    gathered& several = *several_;
    std::size_t count = 0;
    for (send_piece* last = first_;; last = last->next) {
      several.list[count++] = last->bytes();
      if (count == several.list.size() || queue.empty()) break;
      last->next = queue.pop();
      size_ += last->next->bytes().size();
    }
    return several.wait.start([this, &several, count] {
      return owner_.stream_.write_all(std::span<const const_buffer>(several.list).first(count));
    });
  }
  result<std::size_t> outcome() {
    result<void> r = one_ ? discard(one_->outcome()) : discard(several_->wait.outcome());
    if (!r) return std::move(r.error());
    return size_;
  }

 private:
  template <class Bytes>
  using wait = callback_wait<decltype(std::declval<S&>().write_all(std::declval<Bytes>())), stream_transport,
                             &stream_transport::sent>;
  struct gathered : core::pooled {
    explicit gathered(stream_transport& owner) noexcept : wait(owner) {}
    std::array<const_buffer, 128> list;
    sender::wait<std::span<const const_buffer>> wait;
  };
  template <class R>
  static result<void> discard(R r) {
    if (!r) return std::move(r.error());
    return {};
  }

  stream_transport& owner_;
  send_piece* first_ = nullptr;
  std::size_t size_ = 0;
  std::optional<wait<const_buffer>> one_;
  std::unique_ptr<gathered> several_;  // apart, as it is large
};

template <stream S>
bool stream_transport<S>::begin_receive() {
  if (read_.waits()) return false;
  if (read_.ended() || read_.start([this] { return stream_.receive(); })) return true;
  retain();
  return false;
}

template <stream S>
void stream_transport<S>::input_arrived() noexcept {
  if (!connected()) {
    read_.clear();
  } else if (taker_) {
    hand_over();
  } else {
    pump();
  }
  release();
}

template <stream S>
bool stream_transport<S>::begin_send(send_queue& queue) {
  sender_ = std::make_unique<sender>(*this);
  if (sender_->start(queue)) return true;
  retain();
  return false;
}

template <stream S>
void stream_transport<S>::sent() noexcept {
  output_done();
  release();
}

template <stream S>
result<std::size_t> stream_transport<S>::take_sent() {
  const std::unique_ptr<sender> done = std::move(sender_);
  return done->outcome();
}

template <stream S>
void stream_transport<S>::close_stream(bool reset) noexcept {
  if (reset && stream_) stream_.abort();
  if (!read_.waits()) read_.clear();  // it would keep the descriptor open
  [[maybe_unused]] const S dropped = std::move(stream_);
}

template <stream S>
socket_address stream_transport<S>::stream_peer() const noexcept {
  try {
    return stream_ ? stream_.peer_address() : socket_address();
  } catch (...) {
    return {};
  }
}

template <stream S>
socket_address stream_transport<S>::stream_host() const noexcept {
  try {
    return stream_ ? stream_.local_address() : socket_address();
  } catch (...) {
    return {};
  }
}

template <stream S>
deferred<taken_stream<S>> stream_transport<S>::take() {
  if (disconnecting() || taker_)
    throw std::logic_error(
        "take_stream: the connection has ended or is closing, or its stream was taken before");
  auto ends = make_deferred<taken_stream<S>>();
  taker_ = std::make_unique<resolver<taken_stream<S>>>(std::move(ends.resolver));
  stop_reading();
  read_.cancel();
  schedule();
  return std::move(ends.deferred);
}

// Once nothing is sent and nothing waits any more.
template <stream S>
void stream_transport<S>::hand_over() noexcept {
  if (!taker_ || read_.waits() || !all_sent() || !connected()) return;
  const auto taker = std::move(taker_);
  std::string unread;
  if (read_.ended()) {
    if (result<lease> input = read_.outcome()) unread = input->text();
  }
  read_.clear();
  const addresses known{stream_peer(), stream_host()};
  taken_stream<S> taken{std::move(stream_), std::move(unread)};
  end(make_failure<connection_taken>(), known, false);
  taker->callback(std::move(taken));
}

template <stream S>
void stream_transport<S>::ended(const failure& reason) noexcept {
  if (const auto taker = std::move(taker_)) taker->errback(reason);
}

/// Fires a deferred at the end of a connection.
class end_of_connection final : public connection_observer {
 public:
  static deferred<void> of(transport& t);

 private:
  explicit end_of_connection(resolver<void> r) noexcept : fire_(std::move(r)) {}
  void connection_ended(const failure& reason) noexcept override;

  resolver<void> fire_;
};

}  // namespace detail

/// Runs a protocol on a stream of any kind, which it takes over, and gives its transport.
/// `connection_made` has been called when it returns, and may have ended the connection; the reference
/// need not be kept. Throws std::bad_alloc.
///
///     transport_ref t = start_protocol(std::make_shared<echo>(), co_await listener.accept());
template <stream S>
transport_ref start_protocol(std::shared_ptr<protocol> p, S s) {
  auto* t = new detail::stream_transport<S>(std::move(s));
  const transport_ref ref(*t);
  t->start(std::move(p));
  return ref;
}

/// The end of a connection: a deferred that succeeds if it ended in order, was aborted here or taken,
/// and else fails with the reason. A cancel aborts the connection.
inline deferred<void> when_lost(transport& t) { return detail::end_of_connection::of(t); }

/// Runs a protocol on a stream until the connection ends; see `when_lost`.
///
///     co_await run_protocol(std::make_shared<echo>(), co_await listener.accept());
template <stream S>
deferred<void> run_protocol(std::shared_ptr<protocol> p, S s) {
  return when_lost(*start_protocol(std::move(p), std::move(s)));
}

/// Takes the stream out of a connection, for coroutines to go on with, after all that was written has
/// been sent. From the call on the protocol receives nothing; when the stream has been taken it gets
/// `connection_lost` with `connection_taken`. No byte is lost: those in `unread` come first. Throws
/// std::logic_error if the transport's stream is no `S`, is taken already, or closes; the deferred
/// fails if the connection ends before.
///
///     taken_stream<tcp_stream> t = co_await take_stream<tcp_stream>(transport());
template <stream S>
deferred<taken_stream<S>> take_stream(transport& t) {
  auto* of_kind = dynamic_cast<detail::stream_transport<S>*>(&t);
  if (!of_kind) throw std::logic_error("take_stream: this transport is on another kind of stream");
  return of_kind->take();
}

}  // namespace mobius::net
