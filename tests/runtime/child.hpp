#pragma once
// Runs a function in a forked child, for what would end or change this process: signals, seccomp
// filters, limits, reports of a sanitizer.

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

/// How a child ended, and all it wrote.
struct ended_child {
  int status;
  std::string text;

  bool exited_with(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
  bool killed_by(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

/// Runs `f`, which returns an exit code, in a child; a child that does not end in time is killed.
/// An exception out of `f` is exit code 90, and its text is written.
template <class F>
ended_child in_child(F f, std::chrono::seconds limit = std::chrono::seconds(30)) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    ::close(ends[0]);
    ::close(ends[1]);
    // A shell starts background jobs with SIGINT ignored.
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGABRT, SIG_DFL);
    std::signal(SIGSEGV, SIG_DFL);
    int code = 90;
    try {
      code = f();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "exception: %s\n", e.what());
    }
    std::fflush(nullptr);
    ::_exit(code);
  }
  ::close(ends[1]);
  ended_child out{};
  const auto until = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd p{ends[0], POLLIN, 0};
    if (left.count() <= 0 || ::poll(&p, 1, static_cast<int>(left.count())) == 0) {
      ::kill(child, SIGKILL);
      out.text += "\n(killed: it did not end in time)";
      break;
    }
    char part[4096];
    const ssize_t n = ::read(ends[0], part, sizeof part);
    if (n <= 0) break;
    out.text.append(part, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  ::waitpid(child, &out.status, 0);
  return out;
}
