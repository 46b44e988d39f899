#pragma once
// `thread_resolver<T>`: a resolver that any thread may fire; what crosses threads goes through the
// reactor's inbox.
//
//   any thread: fire ---> message in the inbox ---> reactor's thread: the deferred fires
//   any thread: last one dropped unfired -> message -> who waits gets broken_deferred
//   reactor's shutdown, or a cancel: the deferred ends, and what is fired later is dropped

#include <atomic>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "../../runtime/inbox.hpp"
#include "../../runtime/list_link.hpp"
#include "../../runtime/reactor.hpp"
#include "../helpers.hpp"

namespace mobius {

namespace detail {

class thread_resolvers;

/// What the handles, the messages under way and the reactor share. All but `used` belongs to the
/// reactor's thread.
class thread_fire_base : public list_link {
 public:
  thread_fire_base(reactor& r);
  thread_fire_base(const thread_fire_base&) = delete;
  thread_fire_base& operator=(const thread_fire_base&) = delete;
  virtual ~thread_fire_base() = default;

  /// Gives the resolver up: who waits gets `broken_deferred`.
  virtual void give_up() noexcept = 0;
  /// True until the reactor no longer waits for it.
  bool open() const noexcept { return owner_ != nullptr; }
  /// The reactor no longer waits for it.
  void close() noexcept;
  inbox& messages() noexcept { return *inbox_; }

  std::atomic<bool> used{false};  // fired, or given up

 private:
  reactor* owner_;
  std::shared_ptr<inbox> inbox_;
};

/// Those of a reactor, which ends them at its shutdown.
class thread_resolvers {
 public:
  explicit thread_resolvers(reactor&) noexcept {}
  thread_resolvers(const thread_resolvers&) = delete;
  thread_resolvers& operator=(const thread_resolvers&) = delete;

  /// Enters one; false if the reactor is at its end.
  bool enter(thread_fire_base& f) noexcept;
  void stop() noexcept;

 private:
  list_link open_;
  bool stopped_ = false;
};

template <class T>
class thread_fire final : public thread_fire_base {
 public:
  thread_fire(reactor& r, resolver<T> fire) : thread_fire_base(r), fire_(std::move(fire)) {
    if (!open()) fire_ = {};
  }

  void give_up() noexcept override {
    close();
    fire_ = {};
  }
  void deliver(result<T>&& r) {
    close();
    const resolver<T> fire = std::exchange(fire_, {});
    if (!fire || fire.fired()) return;
    if (!r) return fire.errback(std::move(r.error()));
    if constexpr (std::is_void_v<T>) {
      fire();
    } else {
      fire(*std::move(r));
    }
  }

 private:
  resolver<T> fire_;
};

/// What is fired, on its way; without an outcome it gives the resolver up.
template <class T>
class fire_message final : public node {
 public:
  static bool send(std::shared_ptr<thread_fire<T>> to, std::optional<result<T>> outcome) {
    auto message = std::make_unique<fire_message>(std::move(to), std::move(outcome));
    inbox& messages = message->to_->messages();
    if (!messages.push(message.get())) return false;
    static_cast<void>(message.release());
    return true;
  }
  fire_message(std::shared_ptr<thread_fire<T>>&& to, std::optional<result<T>>&& outcome) noexcept
      : node(&fire_message::arrived), to_(std::move(to)), outcome_(std::move(outcome)) {}

 private:
  static void arrived(node* n) noexcept {
    const std::unique_ptr<fire_message> self(static_cast<fire_message*>(n));
    if (self->outcome_) {
      self->to_->deliver(std::move(*self->outcome_));
    } else {
      self->to_->give_up();
    }
  }

  std::shared_ptr<thread_fire<T>> to_;
  std::optional<result<T>> outcome_;
};

/// What all copies of a thread_resolver hold.
template <class T>
struct thread_fire_handle {
  explicit thread_fire_handle(std::shared_ptr<thread_fire<T>> s) noexcept : state(std::move(s)) {}
  thread_fire_handle(const thread_fire_handle&) = delete;
  thread_fire_handle& operator=(const thread_fire_handle&) = delete;
  ~thread_fire_handle() {
    if (!state->used.exchange(true)) fire_message<T>::send(std::move(state), std::nullopt);
  }
  std::shared_ptr<thread_fire<T>> state;
};

template <class T>
struct thread_ends;
template <class T, class Cancel>
thread_ends<T> make_thread_ends(Cancel cancel, const std::source_location& where);

}  // namespace detail

/// Thrown by a `thread_resolver` that was used before.
class thread_resolver_used final : public std::logic_error {
 public:
  thread_resolver_used() : std::logic_error("a thread_resolver was fired a second time; fire it once") {}
};

/// The producer's end of a deferred, for any thread: `resolver` belongs to its reactor's thread, this
/// does not. Copyable and callable. The callbacks run in the reactor's thread, in a later turn. When
/// the last copy is dropped unfired, who waits gets `broken_deferred`. While one is out, the reactor
/// has something to wait for.
template <class T>
class thread_resolver {
 public:
  /// An empty one; it can be assigned to, tested and destroyed.
  thread_resolver() noexcept = default;

  /// Fires with a value; false if the reactor has ended. Throws `thread_resolver_used` if one of the
  /// copies was fired before; after a cancel the value is dropped.
  template <class U = T>
  requires(!std::is_void_v<T> && std::is_convertible_v<U&&, T>) bool operator()(U&& value) const {
    return send(result<T>(static_cast<T>(std::forward<U>(value))));
  }
  /// Fires a deferred<void>.
  bool operator()() const requires std::is_void_v<T> { return send(result<T>()); }
  /// Fires with a failure.
  bool errback(failure error) const { return send(result<T>(std::move(error))); }
  /// Fires with an exception object.
  template <class E>
  requires(!std::is_convertible_v<E, failure>) bool errback(E exception) const {
    return errback(failure(std::make_exception_ptr(std::move(exception))));
  }
  /// Fires with a value or a failure.
  bool settle(result<T> outcome) const { return send(std::move(outcome)); }
  /// True if it holds a deferred.
  explicit operator bool() const noexcept { return handle_ != nullptr; }

 private:
  template <class U, class Cancel>
  friend detail::thread_ends<U> detail::make_thread_ends(Cancel, const std::source_location&);
  explicit thread_resolver(std::shared_ptr<detail::thread_fire<T>> state)
      : handle_(std::make_shared<detail::thread_fire_handle<T>>(std::move(state))) {}

  bool send(result<T>&& outcome) const {
    if (!handle_) throw no_deferred("this thread_resolver is empty: it was moved from or never set");
    if (handle_->state->used.exchange(true)) throw thread_resolver_used();
    return detail::fire_message<T>::send(handle_->state, std::move(outcome));
  }

  std::shared_ptr<detail::thread_fire_handle<T>> handle_;
};

namespace detail {

/// What make_thread_deferred returns.
template <class T>
struct thread_ends {
  mobius::deferred<T> deferred;
  mobius::thread_resolver<T> resolver;
};

template <class T, class Cancel>
thread_ends<T> make_thread_ends(Cancel cancel, const std::source_location& where) {
  static_assert(!std::is_reference_v<T>, "mobius: a reference does not cross threads; pass a pointer");
  auto [d, fire] = make_deferred<T>(where);
  auto state = std::make_shared<thread_fire<T>>(reactor::current(), std::move(fire));
  set_canceller(d, [cancel = std::move(cancel), weak = std::weak_ptr(state)]() mutable -> cancel_reply {
    const cancel_reply reply = cancel();
    const auto alive = weak.lock();
    if (alive && reply == cancel_reply::done) alive->give_up();
    return reply;
  });
  return {std::move(d), thread_resolver<T>(std::move(state))};
}

}  // namespace detail

/// Makes a pending deferred of this thread's reactor, and the end of it that any thread may fire. A
/// cancel ends the deferred at once; what is fired later is dropped.
///
///     auto [d, fire] = mobius::make_thread_deferred<std::string>();
///     library.start([fire](std::string text) { fire(std::move(text)); });  // calls back in its thread
template <class T = void>
detail::thread_ends<T> make_thread_deferred(std::source_location where = std::source_location::current()) {
  return detail::make_thread_ends<T>([] { return cancel_reply::done; }, where);
}

}  // namespace mobius
