#pragma once
// `transport`: the connection as a protocol sees it. Writing never blocks and never fails; what
// happens comes as calls of the protocol.

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "../../runtime/context.hpp"
#include "../../runtime/delayed_call.hpp"
#include "../../runtime/failure.hpp"
#include "../../runtime/frame_pool.hpp"
#include "../../runtime/result.hpp"
#include "../options.hpp"
#include "../stream.hpp"
#include "producer.hpp"
#include "reasons.hpp"
#include "send_queue.hpp"

namespace mobius::net {

class protocol;

/// Someone who is told when a connection has ended, after its protocol.
class connection_observer {
 public:
  /// The connection has ended; called once.
  virtual void connection_ended(const failure& reason) noexcept = 0;

 protected:
  ~connection_observer() = default;

 private:
  friend class transport;
  connection_observer* next_ = nullptr;
};

/// The connection of a protocol (Twisted's ITransport). It is made by endpoints and by `run_protocol`,
/// and shared by its protocol and the reactor: it lives, at least as a shell, as long as its protocol.
/// After the connection has ended all its functions do nothing. Use it in its reactor's thread only.
///
/// What is written in one callback leaves together when the callback returns; elsewhere, in the
/// reactor's current turn. What the kernel does not take is kept, without a bound: a producer that
/// is registered is paused above `high_water`.
class transport : public producer, public detail::core::pooled, private detail::core::node {
 public:
  /// Bytes kept above which a push producer is paused.
  static constexpr std::size_t high_water = 64 * 1024;

  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;

  /// Sends a copy of the bytes; they are the caller's again when it returns. Never blocks and never fails:
  /// an error of the connection comes as the reason of `connection_lost`. Ignored after
  /// `lose_write_connection` and when the connection has ended. After `lose_connection` it is still sent,
  /// until it has closed. Writes leave in order, those of one turn together, in one request of the kernel.
  /// Throws std::logic_error in another thread than the reactor's, std::bad_alloc.
  ///
  ///     void data_received(std::string_view data) override { transport().write(data); }
  void write(const_buffer bytes);
  /// Sends a buffer that was received, without copying it if it is large (2 KiB, and no more than
  /// `high_water` waiting). Else as above.
  ///
  ///     void lease_received(lease data) override { other->write(std::move(data)); }
  template <std::same_as<lease> L>
  void write(L&& bytes) {
    write_lease(std::forward<L>(bytes));
  }
  /// Sends an unnamed or moved string, without copying it if it is large (2 KiB). Else as above.
  template <std::same_as<std::string> S>
  void write(S&& text) {
    write_string(std::forward<S>(text));
  }
  /// Sends copies of several buffers, one behind the other; as so many writes (Twisted's writeSequence).
  ///
  ///     const std::array<const_buffer, 2> parts{head, body};
  ///     transport().write_sequence(parts);
  void write_sequence(std::span<const const_buffer> list);

  /// Stops reading at once, sends what was written, and closes; `connection_lost` follows with
  /// `connection_done`, never inside this call. It waits for a pull producer, or a push producer that is
  /// paused, until that is unregistered (Twisted does the same, #6461). If the peer does not take the
  /// bytes it waits without end. May be called again, to no effect.
  void lose_connection();
  /// The same, but `abort_connection` if it has not ended after so long (Twisted leaves that to its users,
  /// #8902). Called again it sets the time anew.
  ///
  ///     transport().write("goodbye\r\n");
  ///     transport().lose_connection(5s);
  void lose_connection(std::chrono::nanoseconds abort_after);
  /// Sends what was written and tells the peer that no more will come; reading goes on. A half-closeable
  /// protocol gets `write_connection_lost` then; when both directions have ended, so has the connection.
  void lose_write_connection();
  /// Ends the connection at once: what is unsent is thrown away, a TCP peer sees a reset (the end, over
  /// unix), no callback comes any more but `connection_lost` with `connection_aborted`, from the loop. Safe
  /// in every callback and at any time.
  void abort_connection();

  /// Delivers nothing until `resume_producing`. What has come by then waits, at most 256 KiB of buffers
  /// in our hands, and so in the end does the peer. Its end of the stream, or reset, is noticed after the
  /// resumption.
  void pause_producing() override;
  /// Goes on delivering; nothing while it closes.
  void resume_producing() override;
  /// As a producer for another transport: `lose_connection`.
  void stop_producing() override { lose_connection(); }
  /// True between `pause_producing` and `resume_producing`.
  bool paused() const noexcept { return paused_; }

  /// Lets `p` provide the output. A pull producer is asked for a piece at once and each time all is
  /// sent; a push producer is paused while more than `high_water` bytes are kept and resumed when all
  /// is sent. If the connection has ended, `p.stop_producing()` is called at once; when it ends later,
  /// then. `p` must live until then or until it is unregistered. What it throws ends the connection, with
  /// it as the reason. Throws std::logic_error if there is one already. A transport is a push producer
  /// itself, so that two of them forward to each other with bounded memory:
  ///
  ///     client.register_producer(server, producer_kind::push);
  ///     server.register_producer(client, producer_kind::push);
  void register_producer(producer& p, producer_kind kind);
  /// Ends that: a `lose_connection` that waited for it goes on. The producer may call it in any of its
  /// functions. Nothing if there is none.
  void unregister_producer();

  /// Where the peer is; still known after the end.
  socket_address get_peer() const;
  /// Our own address.
  socket_address get_host() const;
  /// Bytes that were written and not yet taken by the kernel.
  std::size_t unsent() const noexcept { return unsent_; }
  /// True until the connection has ended.
  bool connected() const noexcept { return !lost_; }
  /// Why the connection has ended, as `connection_lost` is told; null while it has not.
  const failure* lost_reason() const noexcept { return lost_ ? &extras_->end->reason : nullptr; }
  /// True once `lose_connection` was called, or the connection has ended.
  bool disconnecting() const noexcept { return closing_ || lost_; }
  /// What TLS has agreed on (ALPN); empty without.
  virtual std::string_view application_protocol() const noexcept = 0;

  /// Whether small writes leave at once (TCP_NODELAY), as they do by default. Throws std::system_error
  /// if it is no TCP connection; ignored after the end.
  void set_tcp_no_delay(bool on);
  /// See `set_tcp_no_delay`.
  bool get_tcp_no_delay() const;
  /// Whether a silent peer is probed (SO_KEEPALIVE); as above.
  void set_tcp_keep_alive(bool on);
  /// See `set_tcp_keep_alive`.
  bool get_tcp_keep_alive() const;
  /// The descriptor, which stays the transport's; -1 if there is none or it has ended.
  virtual int native_handle() const noexcept = 0;

  /// Tells `o` of the end of the connection, after the protocol; at once if it has been told already.
  /// It must live until then or until `forget`.
  void observe(connection_observer& o);
  /// Tells it nothing.
  void forget(connection_observer& o) noexcept;
  /// The protocol; null when it has been told of the end.
  const std::shared_ptr<net::protocol>& get_protocol() const noexcept { return protocol_; }

  /// Somebody uses the transport.
  void retain() noexcept { ++references_; }
  /// Somebody does no longer.
  void release() noexcept {
    if (--references_ == 0) delete this;
  }

 protected:
  transport();
  virtual ~transport() = default;

  /// Gives the connection to its protocol, which may end it at once.
  void start(std::shared_ptr<net::protocol> p);

  // What a kind of stream has to offer. Each wait ends with `input_ready` or `output_done`.

  /// Waits for input; true if it is there at once.
  virtual bool begin_receive() = 0;
  /// The input that is there.
  virtual result<lease> take_input() = 0;
  /// Sends from the queue, which holds something; true if that ended at once.
  virtual bool begin_send(detail::send_queue& queue) = 0;
  /// How the sending ended.
  virtual result<std::size_t> take_sent() = 0;
  /// Ends the sending side.
  virtual void end_output() = 0;
  /// Drops the stream, or resets the connection.
  virtual void close_stream(bool reset) noexcept = 0;
  virtual socket_address stream_peer() const noexcept = 0;
  virtual socket_address stream_host() const noexcept = 0;
  /// Everything has been sent, for now.
  virtual void flushed() noexcept {}
  /// The protocol has been told of the end.
  virtual void ended(const failure&) noexcept {}

  /// Delivers input until it has to wait.
  void pump() noexcept;
  /// The wait of `begin_send` has ended.
  void output_done() noexcept;
  /// Ends the connection; `connection_lost` follows from the loop.
  void lose(failure reason) noexcept { end(std::move(reason), {stream_peer(), stream_host()}, false); }
  /// The same; the addresses stay known.
  struct addresses {
    socket_address peer;
    socket_address host;
  };
  void end(failure reason, addresses known, bool reset) noexcept;
  /// Stops delivering, for good.
  void stop_reading() noexcept { read_stopped_ = true; }
  bool all_sent() const noexcept { return !sending_ && queue_.empty(); }
  /// Goes on in the reactor's current turn.
  void schedule() noexcept;

 private:
  struct ending {
    failure reason;
    addresses known;
  };
  // What few connections have, or only at their end.
  struct extras {
    producer* source = nullptr;
    connection_observer* observers = nullptr;
    delayed_call deadline;
    std::unique_ptr<ending> end;
  };

  static void run_node(detail::core::node* n) noexcept;
  void write_lease(lease&& bytes);
  void write_string(std::string&& text);
  bool takes_writes(const char* call) const;
  void written(std::size_t size);
  void flush() noexcept;
  void deliver(result<lease>&& input) noexcept;
  void input_ended() noexcept;
  void drained() noexcept;
  void close_if_flushed() noexcept;
  void tell_lost() noexcept;
  void set_flag(int level, int name, bool on, const char* what);
  producer* source() const noexcept { return extras_ ? extras_->source : nullptr; }
  extras& more() {
    if (!extras_) extras_ = std::make_unique<extras>();
    return *extras_;
  }
  bool get_flag(int level, int name) const noexcept;
  template <class F>
  void call(F f) noexcept;

  std::shared_ptr<net::protocol> protocol_;
  std::unique_ptr<extras> extras_;
  reactor& reactor_;
  detail::send_queue queue_;
  std::size_t unsent_ = 0;
  std::uint32_t references_ = 0;
  std::uint16_t calls_ = 0;  // callbacks under way
  producer_kind producer_kind_ = producer_kind::push;
  bool producer_paused_ = false;
  bool paused_ = false;
  bool read_stopped_ = false;
  bool input_ended_ = false;
  bool pumping_ = false;
  bool sending_ = false;
  bool flushing_ = false;
  bool queued_ = false;         // the node stands in the ready queue
  bool closing_ = false;        // lose_connection
  bool write_closing_ = false;  // lose_write_connection
  bool write_closed_ = false;
  bool lost_ = false;
  bool told_ = false;
};

/// Keeps a transport alive.
class transport_ref {
 public:
  /// None.
  transport_ref() noexcept = default;
  explicit transport_ref(transport& t) noexcept : transport_(&t) { t.retain(); }
  transport_ref(const transport_ref& other) noexcept : transport_(other.transport_) {
    if (transport_) transport_->retain();
  }
  transport_ref(transport_ref&& other) noexcept : transport_(std::exchange(other.transport_, nullptr)) {}
  transport_ref& operator=(transport_ref other) noexcept {
    std::swap(transport_, other.transport_);
    return *this;
  }
  ~transport_ref() {
    if (transport_) transport_->release();
  }

  /// The transport; there must be one.
  transport& operator*() const noexcept { return *transport_; }
  /// The transport; there must be one.
  transport* operator->() const noexcept { return transport_; }
  /// The transport, or null.
  transport* get() const noexcept { return transport_; }
  /// True if there is one.
  explicit operator bool() const noexcept { return transport_ != nullptr; }

 private:
  transport* transport_ = nullptr;
};

}  // namespace mobius::net
