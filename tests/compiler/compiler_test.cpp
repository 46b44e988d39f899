// Runs every form in a child process, to its end and destroyed at each of its suspensions.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "subject.hpp"
#include "support/catch.hpp"

using namespace compiler_test;

namespace {

enum exit_code {
  right = 0,
  destroyed_twice = 11,
  leaked,
  wrong_value,
  threw,
  not_finished,
  no_more_suspensions
};

/// Awaits a task from outside any coroutine of ours.
struct driver {
  struct promise_type {
    driver get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};

struct outcome {
  bool ended = false;
  bool value = false;
  bool threw = false;
};

driver drive(task<bool> subject, outcome& out) {
  try {
    out.value = co_await std::move(subject);
  } catch (...) {
    out.threw = true;
  }
  out.ended = true;
}

int lifetimes() {
  if (book().destroyed_twice > 0) return destroyed_twice;
  if (!book().live.empty()) return leaked;
  return right;
}

/// Runs the form; with `drop_at` >= 0 its frames are destroyed at that suspension.
int run_here(const form& f, int drop_at) {
  outcome out;
  driver d = drive(f.body(), out);
  mobius::detail::resume(d.frame);
  for (int suspensions = 0; paused(); ++suspensions) {
    if (suspensions == drop_at) {
      d.frame.destroy();
      return lifetimes();
    }
    mobius::detail::resume(std::exchange(paused(), nullptr));
  }
  if (drop_at >= 0) return no_more_suspensions;
  if (!out.ended) return not_finished;
  d.frame.destroy();
  if (out.threw) return threw;
  const int lives = lifetimes();
  if (lives != right) return lives;
  return out.value ? right : wrong_value;
}

/// The wait status of a child that runs the form; it may crash or hang there.
int run_in_child(const form& f, int drop_at, bool quiet) {
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int s : {SIGILL, SIGABRT, SIGSEGV, SIGALRM}) signal(s, SIG_DFL);
    if (quiet && !std::freopen("/dev/null", "w", stderr)) _exit(99);
    alarm(20);
    _exit(run_here(f, drop_at));
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGALRM) return "hung";
    return std::string("died: ") + strsignal(WTERMSIG(status));
  }
  switch (WEXITSTATUS(status)) {
    case right:
      return "right";
    case destroyed_twice:
      return "an object was destroyed twice";
    case leaked:
      return "an object was never destroyed";
    case wrong_value:
      return "a value was wrong";
    case threw:
      return "an exception came out";
    case not_finished:
      return "never ran, or stopped without a word";
    default:
      return "ended with status " + std::to_string(WEXITSTATUS(status));
  }
}

/// True if nobody can overlook it: a deadly signal, or a sanitizer's report.
bool loud(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status) != SIGALRM;
  return WEXITSTATUS(status) != right && WEXITSTATUS(status) < destroyed_twice;
}

}  // namespace

TEST_CASE("every form that users may write runs to its end with each object destroyed once") {
  for (const form& f : safe_forms()) {
    INFO(f.text);
    CHECK(describe(run_in_child(f, -1, false)) == "right");
  }
}

TEST_CASE("every form that users may write can be destroyed at each of its suspensions") {
  for (const form& f : safe_forms()) {
    for (int at = 0;; ++at) {
      const int status = run_in_child(f, at, false);
      if (WIFEXITED(status) && WEXITSTATUS(status) == no_more_suspensions) break;
      INFO(f.text << ", destroyed at suspension " << at);
      CHECK(describe(status) == "right");
    }
  }
}

TEST_CASE("the forms that g++ 12 breaks are reported") {
  for (const form& f : broken_forms()) {
    const std::string seen = describe(run_in_child(f, -1, true));
    std::printf("%-11s GCC %-9s %s: %s\n", seen == "right" ? "works here" : "broken", f.bug, f.text,
                seen.c_str());
#ifdef __clang__
    INFO(f.text);
    CHECK(seen == "right");
#endif
  }
}

TEST_CASE("a coroutine that the compiler never enters ends the program instead of hanging it") {
  for (const form& f : broken_forms()) {
    if (std::string(f.bug) != "PR106188") continue;
    const int status = run_in_child(f, -1, true);
    INFO(f.text << ": " << describe(status));
    CHECK((loud(status) || describe(status) == "right"));
  }
}
