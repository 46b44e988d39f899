// The outside of a server of one or several like threads: it ends when the last connection of all has closed,
// or at SIGTERM, and then prints what was measured.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "server_stats.hpp"

namespace bench {

/// How many connections are open, over all threads.
class open_connections {
 public:
  explicit open_connections(const server_options& options) : exit_after_close_(options.exit_after_close) {}
  void opened() { open_.fetch_add(1, std::memory_order_relaxed); }
  /// True if that was the last one, and the server is to end with it.
  bool closed() { return open_.fetch_sub(1, std::memory_order_relaxed) == 1 && exit_after_close_; }

 private:
  std::atomic<unsigned> open_{0};
  bool exit_after_close_;
};

inline std::atomic<bool> stop_requested{false};

/// Asks for the end at SIGTERM: `stop_requested`, and system calls that wait return.
inline void stop_at_sigterm() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = true; };
  sigaction(SIGTERM, &action, nullptr);
}

/// Tells the harness where to connect.
inline void print_port(unsigned port) {
  std::printf("port %u\n", port);
  std::fflush(stdout);
}

/// Ends the program if it is asked for several threads and has but one.
inline void one_thread_only(const server_options& options) {
  if (options.threads == 1 && options.rest.empty()) return;
  std::fprintf(stderr, "this server has one thread and no options of its own\n");
  std::exit(2);
}

/// Calls `serve(listener)` for each of the listeners in a thread of its own, this one included. The first to
/// return prints the measurement and ends the process, and with it what the kernel still does for the others.
template <class Listener, class Serve>
[[noreturn]] void serve_in_threads(std::vector<Listener>& listeners, server_stats& stats, Serve serve) {
  std::atomic<bool> ended{false};
  const auto run = [&](Listener& listener) {
    serve(listener);
    if (ended.exchange(true)) return;
    stats.print();
    _exit(0);
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < listeners.size(); ++i) others.emplace_back(run, std::ref(listeners[i]));
  run(listeners.front());
  while (true) pause();
}

}  // namespace bench
