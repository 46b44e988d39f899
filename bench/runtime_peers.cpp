#include "runtime_peers.hpp"

#include <uv.h>

#include <asio.hpp>
#include <asio/experimental/channel.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "thread_time.hpp"

using namespace std::chrono_literals;

namespace {

template <class T>
using asio_task = asio::awaitable<T, asio::io_context::executor_type>;
constexpr asio::use_awaitable_t<asio::io_context::executor_type> use_asio;

template <class F>
double in_asio(std::size_t count, F body) {
  asio::io_context io(1);
  double ns = 0;
  auto main = [&]() -> asio_task<void> {
    const double begin = thread_ns();
    co_await body(io, count);
    ns = (thread_ns() - begin) / static_cast<double>(count);
  };
  asio::co_spawn(io, main(), asio::detached);
  io.run();
  return ns;
}

__attribute__((noinline)) asio_task<int> asio_child(int n) { co_return n; }

asio_task<void> await_children(asio::io_context&, std::size_t count) {
  int sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += co_await asio_child(static_cast<int>(i & 1));
  static_cast<void>(sum);
}

asio_task<void> yield_turns(asio::io_context& io, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await asio::post(io, use_asio);
}

asio_task<void> asio_nothing() { co_return; }

asio_task<void> spawn_often(asio::io_context& io, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await asio::co_spawn(io, asio_nothing(), use_asio);
}

using asio_channel =
    asio::experimental::channel<asio::io_context::executor_type, void(asio::error_code, int)>;

asio_task<void> asio_send(asio_channel& c, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await c.async_send(asio::error_code(), 1, use_asio);
}

asio_task<void> through_channel(asio::io_context& io, std::size_t count, std::size_t capacity) {
  asio_channel c(io.get_executor(), capacity);
  asio::co_spawn(io, asio_send(c, count), asio::detached);
  for (std::size_t i = 0; i < count; ++i) co_await c.async_receive(use_asio);
}

}  // namespace

double asio_await(std::size_t count) { return in_asio(count, await_children); }

double asio_yield(std::size_t count) { return in_asio(count, yield_turns); }

double asio_spawn(std::size_t count) { return in_asio(count, spawn_often); }

double asio_through_channel(std::size_t count, std::size_t capacity) {
  return in_asio(
      count, [capacity](asio::io_context& io, std::size_t n) { return through_channel(io, n, capacity); });
}

double asio_timer_cost(std::size_t pending, std::size_t count) {
  asio::io_context io(1);
  std::vector<std::unique_ptr<asio::steady_timer>> all;
  for (std::size_t i = 0; i < pending; ++i) {
    all.push_back(std::make_unique<asio::steady_timer>(io, 3600s + std::chrono::microseconds(i)));
    all.back()->async_wait([](const asio::error_code&) {});
  }
  asio::steady_timer mine(io);
  const double ns = timed(count, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      mine.expires_after(1s + std::chrono::milliseconds(i & 1023));
      mine.async_wait([](const asio::error_code&) {});
      mine.cancel();
      if ((i & 1023) == 0) io.poll();
    }
  });
  for (auto& t : all) t->cancel();
  io.run();
  return ns;
}

double uv_timer_cost(std::size_t pending, std::size_t count) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_timer_t> all(pending + 1);
  for (auto& t : all) uv_timer_init(&loop, &t);
  const auto quiet = [](uv_timer_t*) {};
  for (std::size_t i = 0; i < pending; ++i) uv_timer_start(&all[i], quiet, 3'600'000 + i / 1000, 0);
  uv_timer_t* mine = &all[pending];
  const double ns = timed(count, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      uv_timer_start(mine, quiet, 1000 + (i & 1023), 0);
      uv_timer_stop(mine);
    }
  });
  for (auto& t : all) uv_close(reinterpret_cast<uv_handle_t*>(&t), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return ns;
}
