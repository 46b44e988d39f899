// Setting a ring up: the chain of flags, smaller sizes where memory is short, and what is said
// where it is refused.

#include <dlfcn.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cerrno>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "child.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

struct attempt {
  unsigned flags;
  unsigned submission_entries;
  unsigned completion_entries;
};

std::vector<attempt> attempts;
std::function<int(const attempt&)> refusal;  // a negative errno, or 0: let the kernel decide

// Every later attempt meets this refusal, until the end of the scope.
struct refusing {
  explicit refusing(std::function<int(const attempt&)> f) {
    attempts.clear();
    refusal = std::move(f);
  }
  ~refusing() { refusal = nullptr; }
};

// Answers a system call with an errno from now on, in this process.
void deny(int call, int error) {
  const auto k = static_cast<unsigned>(call);
  const auto e = static_cast<unsigned>(error);
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | e),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) throw std::runtime_error("seccomp");
}

// Lets this process open descriptors below `limit` only. UBSan needs some of its own when it checks
// the type of an object, hence `lift`.
class few_descriptors {
 public:
  /// Leaves so many to be had; the test runner may have left some of its own open.
  explicit few_descriptors(rlim_t left) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = dup(0);
    close(next);
    const rlimit now{static_cast<rlim_t>(next) + left, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
  }
  void lift() const { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// The text of the exception that a use of the runtime gives in a child; "" for none. The child
// goes on afterwards and ends by itself.
ended_child refused(int call, int error) {
  return in_child([&] {
    deny(call, error);
    try {
      mobius::run([]() -> mobius::task<> { co_await mobius::sleep(1ms); }());
    } catch (const std::system_error& e) {
      std::printf("refused(%d): %s\n", e.code().value(), e.what());
      return 0;
    }
    return 1;
  });
}

std::string text_of(int error) {
  const refusing r([error](const attempt&) { return -error; });
  try {
    mobius::reactor reactor;
  } catch (const std::system_error& e) {
    CHECK(e.code().value() == error);
    return e.what();
  }
  return "nothing was refused";
}

}  // namespace

// Stands before liburing's, to see and refuse attempts.
extern "C" int io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* params) {
  using function = int (*)(unsigned, io_uring*, io_uring_params*);
  static const auto real = reinterpret_cast<function>(dlsym(RTLD_NEXT, "io_uring_queue_init_params"));
  const attempt a{params->flags, entries, params->cq_entries};
  attempts.push_back(a);
  if (refusal) {
    if (const int error = refusal(a)) return error;
  }
  return real(entries, ring, params);
}

TEST_CASE("a filter that hides io_uring: the error names kernel, filter and what is needed", "[fault-17]") {
  const ended_child c = refused(SYS_io_uring_setup, ENOSYS);
  utsname name{};
  uname(&name);
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("io_uring: not provided by this kernel (" + std::string(name.release) +
               ") or hidden by a seccomp filter [Seccomp: 2 in /proc/self/status]"));
  CHECK(c.says("mobius needs Linux 5.15 or newer"));
}

TEST_CASE("a container's profile that forbids io_uring: the error says how to allow it", "[fault-17]") {
  const ended_child c = refused(SYS_io_uring_setup, EPERM);
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("io_uring: blocked by the container's seccomp profile (docker: --security-opt seccomp="));
  CHECK(c.says("Operation not permitted"));
}

TEST_CASE("a security module that forbids io_uring is named", "[fault-17]") {
  const ended_child c = refused(SYS_io_uring_setup, EACCES);
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("io_uring: denied by a security module"));
}

TEST_CASE("a filter that lets the ring be made but not entered: a clear error, and the program goes on",
          "[fault-18]") {
  const ended_child c = refused(SYS_io_uring_enter, EPERM);
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("io_uring: blocked by the container's seccomp profile"));
}

TEST_CASE(
    "a filter that lets the ring be made but not registered with: a clear error, and the program goes on",
    "[fault-18]") {
  const ended_child c = refused(SYS_io_uring_register, EPERM);
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("io_uring: blocked by the container's seccomp profile"));
}

TEST_CASE("no descriptor left for the ring: the error says so and what to raise", "[fault-22]") {
  const ended_child c = in_child([] {
    const few_descriptors none(0);
    try {
      mobius::reactor reactor;
    } catch (const std::system_error& e) {
      none.lift();
      std::printf("%s\n", e.what());
      return e.code().value() == EMFILE ? 0 : 1;
    }
    return 2;
  });
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("no file descriptor is left for the ring (raise it: ulimit -n"));
}

TEST_CASE("no descriptor left for the wake-up: the error says so, and the ring is given back", "[fault-22]") {
  const ended_child c = in_child([] {
    // The sanitizer looks at each type once, and needs descriptors for that.
    { const mobius::reactor known; }
    try {
      throw std::system_error(EMFILE, std::generic_category(), "known");
    } catch (const std::system_error& e) {
      std::printf("%s %d\n", e.what(), e.code().value());
    }
    const int next = ::dup(0);
    ::close(next);
    for (int i = 0; i < 3; ++i) {
      const few_descriptors one(1);
      try {
        mobius::reactor reactor;
        return 2;
      } catch (const std::system_error& e) {
        one.lift();
        std::printf("%s\n", e.what());
        if (e.code().value() != EMFILE) return 1;
      }
    }
    return ::dup(0) == next ? 0 : 3;
  });
  INFO(c.text);
  CHECK(c.exited_with(0));
  CHECK(c.says("eventfd for the reactor's wake-up"));
}

TEST_CASE("memory locked down: many rings as an unprivileged user either work or say what to raise",
          "[fault-19][fault-43]") {
  const ended_child c = in_child([] {
    const rlimit small{64 * 1024, 64 * 1024};
    setrlimit(RLIMIT_MEMLOCK, &small);
    if (::geteuid() == 0) {
      ::setgroups(0, nullptr);
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 3;
    }
    std::vector<std::unique_ptr<mobius::reactor>> many;
    try {
      for (int i = 0; i < 200; ++i) many.push_back(std::make_unique<mobius::reactor>());
    } catch (const std::system_error& e) {
      std::printf("%zu rings, then: %s\n", many.size(), e.what());
      if (std::string(e.what()).find("RLIMIT_MEMLOCK is 64 KiB (raise it: ulimit -l") == std::string::npos)
        return 1;
    }
    many.clear();
    int answer = 0;
    mobius::run([](int& out) -> mobius::task<> {
      co_await mobius::sleep(1ms);
      out = 42;
    }(answer));
    return answer == 42 ? 0 : 2;
  });
  INFO(c.text);
  CHECK(c.exited_with(0));
}

TEST_CASE("a ring that is too large for the memory is made smaller, by halves, and works", "[fault-19]") {
  const refusing r([](const attempt& a) { return a.submission_entries > 128 ? -ENOMEM : 0; });
  mobius::testing::run([](mobius::testing::world&) -> mobius::task<> { co_await mobius::sleep(1s); });
  REQUIRE(attempts.size() == 4);
  CHECK(attempts[0].submission_entries == 1024);
  CHECK(attempts[1].submission_entries == 512);
  CHECK(attempts[1].completion_entries == 4096);
  CHECK(attempts[3].submission_entries == 128);
}

TEST_CASE("no memory even for the smallest ring: the error names the limit", "[fault-19]") {
  CHECK_THAT(text_of(ENOMEM), Contains("ring of 64 entries refused: RLIMIT_MEMLOCK is"));
}

TEST_CASE("each kind of refusal has a text of its own", "[fault-21]") {
  CHECK_THAT(text_of(ENFILE), Contains("no file descriptor is left for the ring"));
  CHECK_THAT(text_of(EINVAL), Contains("too old; mobius needs Linux 5.15"));
  CHECK_THAT(text_of(EPERM), Contains("io_uring: denied"));
  CHECK_THAT(text_of(EFAULT), Contains("the ring could not be set up"));
}

TEST_CASE("set-up tries the best flags first, and each kernel's row below works as well") {
  constexpr unsigned newest_first[] = {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER,
                                       IORING_SETUP_COOP_TASKRUN, IORING_SETUP_SUBMIT_ALL};
  for (std::size_t unknown = 0; unknown <= std::size(newest_first); ++unknown) {
    unsigned refused_flags = 0;
    for (std::size_t i = 0; i < unknown; ++i) refused_flags |= newest_first[i];
    const refusing r([&](const attempt& a) { return (a.flags & refused_flags) != 0 ? -EINVAL : 0; });
    INFO("row " << unknown);
    mobius::testing::run(
        [](mobius::testing::world& w) -> mobius::task<> {
          mobius::net::tcp_listener listener("127.0.0.1", 0);
          auto connecting = mobius::net::connect(listener.local_address());
          auto [mine, theirs] = co_await mobius::when_all(std::move(connecting), listener.accept());
          co_await mine.write_all("hello");
          const mobius::lease got = co_await theirs.receive();
          CHECK(got.text() == "hello");
          const bool posted = w.reactor.post([] {});
          CHECK(posted);
          co_await mobius::sleep(1ms);
        },
        {.virtual_time = false});
    REQUIRE(attempts.size() == unknown + 1);
    CHECK((attempts.back().flags & refused_flags) == 0);
    CHECK((attempts.back().flags & IORING_SETUP_CQSIZE) != 0);
    CHECK((attempts.front().flags & IORING_SETUP_R_DISABLED) != 0);
  }
}

TEST_CASE("an old kernel stops a batch at a bad entry: the rest is submitted all the same", "[fault-16]") {
  const refusing r([](const attempt& a) { return (a.flags & IORING_SETUP_SUBMIT_ALL) != 0 ? -EINVAL : 0; });
  mobius::testing::run(
      [](mobius::testing::world&) -> mobius::task<> {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        REQUIRE(::write(ends[1], "x", 1) == 1);
        int good = 0;
        int bad = 0;
        const auto one = [&](int fd) -> mobius::task<> {
          const auto got = co_await mobius::as_result(mobius::poll(fd, POLLIN));
          ++(got ? good : bad);
        };
        std::vector<mobius::task<>> tasks;
        for (int i = 0; i < 20; ++i) tasks.push_back(one(i % 3 == 1 ? -1 : ends[0]));
        co_await mobius::when_all(std::move(tasks));
        CHECK(good == 13);
        CHECK(bad == 7);
        ::close(ends[0]);
        ::close(ends[1]);
      },
      {.virtual_time = false});
}

TEST_CASE("more rings in a thread than can be registered work all the same", "[fault-49]") {
  std::vector<std::unique_ptr<mobius::reactor>> many;
  int calls = 0;
  for (int i = 0; i < 24; ++i) {
    many.push_back(std::make_unique<mobius::reactor>(mobius::reactor_options{.signals = false}));
    many.back()->call_later(1ms, [&calls] { ++calls; });
    many.back()->run();
  }
  CHECK(calls == 24);
  for (auto& r : many) {
    r->call_later(1ms, [&calls] { ++calls; });
    r->run();
  }
  CHECK(calls == 48);
}

TEST_CASE("a forked child has no access to its parent's ring", "[fault-30]") {
  mobius::reactor reactor;
  auto& sq = reactor.ring().raw().sq;
  const ended_child c = in_child([&sq] { return *sq.ktail == 0 ? 0 : 1; });
  INFO(c.text);
  CHECK(!c.exited_with(0));
  CHECK(!c.exited_with(1));
}

TEST_CASE("a reactor describes its ring") {
  mobius::reactor reactor({.submission_entries = 64, .completion_entries = 256});
  CHECK_THAT(reactor.describe(), Contains("io_uring, flags 0x") && Contains("64/256 entries"));
}
