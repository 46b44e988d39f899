// Waking a loop that sleeps in another thread: two loops throw a call to and fro, with mobius
// (reactor::post), Asio (post, on epoll) and libuv (uv_async_send). One line of JSON for each: the median of
// nine rounds of nanoseconds, by the clock on the wall, from one throw to the next.
#include <uv.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <chrono>
#include <cstdio>
#include <future>
#include <mobius/runtime.hpp>
#include <thread>
#include <vector>

namespace {

constexpr int throws = 4000;

struct mobius_loop {
  mobius_loop() {
    std::promise<mobius::reactor*> made;
    auto reactor = made.get_future();
    thread = std::thread([&made] {
      mobius::reactor own;
      made.set_value(&own);
      own.run_forever();
    });
    here = reactor.get();
  }
  ~mobius_loop() {
    here->post([r = here] { r->stop(); });
    thread.join();
  }
  template <class F>
  void call(F f) {
    here->post(std::move(f));
  }
  mobius::reactor* here = nullptr;
  std::thread thread;
};

struct asio_loop {
  asio_loop() : thread([this] { here.run(); }) {}
  ~asio_loop() {
    work.reset();
    thread.join();
  }
  template <class F>
  void call(F f) {
    asio::post(here, std::move(f));
  }
  asio::io_context here{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{here.get_executor()};
  std::thread thread;
};

struct uv_loop {
  uv_loop() {
    uv_loop_init(&here);
    uv_async_init(&here, &async, [](uv_async_t* a) { static_cast<uv_loop*>(a->data)->run(); });
    async.data = this;
    thread = std::thread([this] { uv_run(&here, UV_RUN_DEFAULT); });
  }
  ~uv_loop() {
    call([this] { uv_close(reinterpret_cast<uv_handle_t*>(&async), nullptr); });
    thread.join();
    uv_loop_close(&here);
  }
  template <class F>
  void call(F f) {  // one at a time is all that is needed here
    next = std::move(f);
    uv_async_send(&async);
  }
  void run() {
    if (auto f = std::exchange(next, nullptr)) f();
  }
  uv_loop_t here{};
  uv_async_t async{};
  std::function<void()> next;
  std::thread thread;
};

template <class Loop>
struct game {
  std::array<Loop, 2> loops;
  int left = 0;
  std::promise<void> over;

  void catch_at(std::size_t side) {
    if (--left < 0) return over.set_value();
    loops[1 - side].call([this, side] { catch_at(1 - side); });
  }
  double play() {
    left = throws;
    over = std::promise<void>();
    const auto begin = std::chrono::steady_clock::now();
    loops[0].call([this] { catch_at(0); });
    over.get_future().wait();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    return took.count() / throws;
  }
};

void print(const char* program, std::vector<double> rounds) {
  std::sort(rounds.begin(), rounds.end());
  std::printf(
      "{\"row\": \"wake another thread's loop\", \"program\": \"%s\", \"ns\": %.1f, \"allocations\": null}\n",
      program, rounds[rounds.size() / 2]);
}

}  // namespace

int main() {
  std::array<std::vector<double>, 3> rounds;
  game<mobius_loop> ours;
  game<asio_loop> asio;
  game<uv_loop> uv;
  for (int round = 0; round < 9; ++round) {
    rounds[0].push_back(ours.play());
    rounds[1].push_back(asio.play());
    rounds[2].push_back(uv.play());
  }
  print("mobius", rounds[0]);
  print("Asio", rounds[1]);
  print("libuv", rounds[2]);
}
