#include "runtime_frames.hpp"

#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

using mobius::task;

namespace {

// The frames of the coroutines below, measured by their promise's allocation.
std::vector<std::size_t> frame_sizes;

/// A coroutine with the promise of a task that notes the size of its frame. Not inlined: clang would do
/// without the frame.
template <class T>
struct measured {
  struct promise_type : mobius::detail::task_promise_base {
    static void* operator new(std::size_t size) {
      frame_sizes.push_back(size);
      return mobius::detail::allocate_frame(size);
    }
    static void operator delete(void* p, std::size_t size) noexcept { mobius::detail::free_frame(p, size); }
    measured get_return_object() noexcept {
      return measured(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    void return_value(T value) noexcept { slot.set_value(value); }
    void unhandled_exception() noexcept { slot.set_exception(); }
    mobius::detail::outcome_slot<T> slot;
  };

  explicit measured(std::coroutine_handle<promise_type> h) noexcept : handle(h) {}
  measured(measured&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  measured& operator=(measured&&) = delete;
  ~measured() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

[[gnu::noinline]] measured<std::size_t> read_into(mobius::net::tcp_stream& from, std::span<std::byte> to) {
  const std::size_t n = co_await from.read_some(to);
  co_return n;
}
task<std::size_t> read_task(mobius::net::tcp_stream& from, std::span<std::byte> to) {
  const std::size_t n = co_await from.read_some(to);
  co_return n;
}
[[gnu::noinline]] measured<std::size_t> read_word(mobius::net::tcp_stream& from, std::span<std::byte> to) {
  const std::size_t n = co_await read_task(from, to);
  co_return n;
}
[[gnu::noinline]] measured<std::size_t> read_message(mobius::net::tcp_stream& from) {
  std::array<std::byte, 64> head{};
  const std::size_t n = co_await read_task(from, head);
  co_return n;
}
[[gnu::noinline]] measured<int> empty_frame() { co_return 1; }
[[gnu::noinline]] measured<int> sleeping() {
  co_await mobius::sleep(std::chrono::seconds(1));
  co_return 1;
}
[[gnu::noinline]] measured<int> locking(mobius::mutex& m) {
  const auto guard = co_await m.lock();
  co_return 1;
}
[[gnu::noinline]] measured<int> with_timeout() {
  co_await mobius::timeout(std::chrono::seconds(1), mobius::sleep(std::chrono::seconds(2)));
  co_return 1;
}

int over = 0;

void size_row(const char* what, std::size_t bytes, std::size_t limit = 0) {
  const bool good = limit == 0 || bytes <= limit;
  if (!good) ++over;
  std::printf("  %-46s %9zu bytes", what, bytes);
  if (limit != 0) std::printf(", at most %zu%s", limit, good ? "" : "  <-- MISSED");
  std::puts("");
}

template <class A>
constexpr std::size_t awaiter_size = sizeof(mobius::detail::awaiter_t<A>);

}  // namespace

int report_frames() {
  using mobius::detail::awaiter_t;
  mobius::net::tcp_stream none;
  mobius::mutex m;
  std::puts("Awaiters");
  const auto awaiter = [](const char* what, std::size_t bytes) { size_row(what, bytes, 96); };
  mobius::shared_mutex rw;
  mobius::semaphore permits(1);
  mobius::event e;
  mobius::latch l(1);
  mobius::barrier b(1);
  mobius::condition changed;
  mobius::mutex_guard guard;
  mobius::channel<int> numbers;
  mobius::broadcast<int> news(1);
  mobius::subscription<int> mine(news);
  mobius::scope s;
  awaiter("op (base)", sizeof(mobius::detail::op));
  awaiter("poll", sizeof(awaiter_t<decltype(mobius::poll(0, 0))>));
  awaiter("receive", sizeof(awaiter_t<decltype(none.receive())>));
  awaiter("read_some", sizeof(awaiter_t<decltype(none.read_some(std::span<std::byte>()))>));
  awaiter("write_all", sizeof(awaiter_t<decltype(none.write_all(std::string_view()))>));
  awaiter("sleep", awaiter_size<mobius::sleep_operation>);
  awaiter("yield", awaiter_size<mobius::detail::yield_operation>);
  awaiter("await of a task", awaiter_size<task<>>);
  awaiter("mutex.lock", sizeof(awaiter_t<decltype(m.lock())>));
  awaiter("shared_mutex.lock", sizeof(awaiter_t<decltype(rw.lock())>));
  awaiter("semaphore.acquire", sizeof(awaiter_t<decltype(permits.acquire())>));
  awaiter("event.wait", sizeof(awaiter_t<decltype(e.wait())>));
  awaiter("latch.wait", sizeof(awaiter_t<decltype(l.wait())>));
  awaiter("barrier.arrive_and_wait", sizeof(awaiter_t<decltype(b.arrive_and_wait())>));
  awaiter("condition.wait", sizeof(mobius::detail::condition_awaiter));
  awaiter("channel<int>.send", sizeof(awaiter_t<decltype(numbers.send(1))>));
  awaiter("channel<int>.next", sizeof(awaiter_t<decltype(numbers.next())>));
  awaiter("broadcast<int>.send", sizeof(awaiter_t<decltype(news.send(1))>));
  awaiter("subscription<int>.next", sizeof(awaiter_t<decltype(mine.next())>));
  awaiter("scope.join", sizeof(mobius::detail::join_awaiter));
  size_row("context", sizeof(mobius::detail::context));
  size_row("scope", sizeof(mobius::scope));

  mobius::reactor reactor;
  std::puts("Frames");
  const auto frame = [](const char* what, const auto& coroutine) {
    static_cast<void>(coroutine);
    size_row(what, frame_sizes.back());
    return frame_sizes.back();
  };
  frame("empty task", empty_frame());
  frame("sleep", sleeping());
  frame("lock", locking(m));
  frame("timeout around a sleep", with_timeout());
  std::size_t sum = frame("read_some", read_into(none, {}));
  sum += frame("  called by", read_word(none, {}));
  sum += frame("  called by, with a buffer of 64 bytes", read_message(none));
#ifdef __clang__
  size_row("a read three deep, together", sum);
#else
  size_row("a read three deep, together", sum, 700);
#endif
  return over;
}
