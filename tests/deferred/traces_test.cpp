// Programs of the test language must give the traces that real Twisted gives.

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>

#include "interpreter.hpp"
#include "mobius/runtime/frame_pool.hpp"
#include "support/catch.hpp"

namespace {

using style = dtl::interpreter::style;

// Where mobius differs on purpose: the program, which difference, and its own trace.
struct difference {
  const char* program;
  const char* number;
  const char* trace;
};
constexpr difference differences[] = {
    {"77", "D7", "A<0 | A@i | unhandled E1 | --"},
};

const difference* find_difference(const std::string& name) {
  const std::string number = name.substr(0, name.find(' '));
  for (const difference& d : differences) {
    if (number == d.program) return &d;
  }
  return nullptr;
}

// Programs with names that are used after they were handed over need handles that are shared (D1).
// The others need what their missing form stands for.
std::string reason_to_leave_out(const program& p, const std::vector<form>& forms) {
  if (!p.unique) return "uses a deferred after handing it over (D1)";
  for (const std::string& head : heads(forms)) {
    static const std::set<std::string> later_forms{
        "list",       "gather", "race", "later",   "stop",    "reset", "delay", "loop", "loop-stop",
        "loop-reset", "lock",   "sem",  "acquire", "release", "run",   "queue", "put",  "get"};
    if (later_forms.contains(head)) return "uses `" + head + "`";
  }
  return {};
}

// A coroutine that was cancelled and goes on reads "waiting" in Twisted, whose cancel puts another
// deferred in its place (R132); here it is as pending as before.
std::string adapted(const std::string& token, const dtl::interpreter& vm) {
  const std::string waiting = "=waiting paused";
  const std::size_t at = token.find(waiting);
  if (at == std::string::npos || !vm.coroutines().contains(token.substr(0, at))) return token;
  return token.substr(0, at) + "=pending";
}

// Final states of names that were handed over do not exist here; what is reported at the end is
// compared as a set, since its order is the collector's.
std::vector<std::string> comparable(const std::vector<std::string>& trace, const dtl::interpreter& vm) {
  const auto end = std::find(trace.begin(), trace.end(), "--");
  std::vector<std::string> kept;
  std::vector<std::string> reports;
  for (auto token = trace.begin(); token != trace.end(); ++token) {
    if (token > end && token->rfind("unhandled ", 0) == 0) {
      reports.push_back(*token);
      continue;
    }
    if (token > end && vm.handed_over().contains(token->substr(0, token->find('=')))) continue;
    kept.push_back(adapted(*token, vm));
  }
  std::sort(reports.begin(), reports.end());
  kept.insert(kept.end(), reports.begin(), reports.end());
  return kept;
}

void check_file(const std::string& path, style stages) {
  std::map<std::string, int> left_out;
  int run = 0;
  int different = 0;
  for (const program& p : read_programs(path)) {
    const std::vector<form> forms = read_forms(p.source);
    const std::string reason = reason_to_leave_out(p, forms);
    if (!reason.empty()) {
      ++left_out[reason];
      continue;
    }
    const std::size_t frames_before = mobius::detail::live_frames();
    {
      dtl::interpreter vm(stages);
      const std::vector<std::string> got = comparable(vm.run(forms), vm);
      std::vector<std::string> wanted = p.trace;
      if (const difference* d = find_difference(p.name)) {
        wanted = split_trace(d->trace);
        ++different;
      }
      wanted = comparable(wanted, vm);
      INFO("program " << p.name << "\n" << p.source);
      CHECK(join(got) == join(wanted));
    }
    INFO("program " << p.name << "\n" << p.source);
    CHECK(mobius::detail::live_frames() == frames_before);
    ++run;
  }
  std::cout << path.substr(path.rfind('/') + 1) << ": " << run << " programs run, " << different
            << " of them with a trace of mobius' own\n";
  for (const auto& [reason, count] : left_out) std::cout << "  left out, " << count << ": " << reason << "\n";
  CHECK(run > 0);
}

}  // namespace

TEST_CASE("the golden programs give Twisted's traces") {
  check_file(MOBIUS_TRACES "/golden.txt", style::callbacks);
}

TEST_CASE("the random programs give Twisted's traces") {
  check_file(MOBIUS_TRACES "/corpus.txt", style::callbacks);
}

TEST_CASE("the same programs give the same traces when every callback is a coroutine") {
  check_file(MOBIUS_TRACES "/golden.txt", style::coroutines);
  check_file(MOBIUS_TRACES "/corpus.txt", style::coroutines);
}
