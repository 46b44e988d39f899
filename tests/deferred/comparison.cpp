#include "comparison.hpp"

#include <mobius/runtime/frame_pool.hpp>

#include <algorithm>
#include <functional>
#include <map>

namespace dtl {

namespace {

// All that differs from Twisted on purpose: the program, the number of the difference in
// deferred.md 3.13, and the trace of mobius' own. Nothing else may differ. 76 and 78 use a deferred
// after it was handed over; without that use they show the same quirk.
struct difference {
  const char* program;
  const char* number;
  const char* trace;
};
constexpr difference differences[] = {
    // Fire on one callback, of nothing: Twisted's list never fires (R107).
    {"47", "D9", "L<[] | L>ok | m=!Group() | -- | l=ok | m=!Group() | unhandled Group()"},
    // What is left of an inner cannot be stranded by its paused outer (R55): nothing is left of it,
    // since it was handed over.
    {"76", "D6", "A<0 | A@i | ?then empty | .fired | ?then empty | -- | o=1"},
    // A failure that nobody can see any more is reported, also from under a pause (R64).
    {"77", "D7", "A<0 | A@i | unhandled E1 | --"},
    // A deferred that runs one of its own stages has no result to take yet (R56).
    {"78", "D6", "X<3 | Y<0 | Y@d | X>9 | o=9 | ?show empty | -- | o=9"},
    // A list that waits in one of its own stages passes a cancel on like any other (R112).
    {"83", "D9", "L<[+1] | L@i | k.cancel | Z<!Cancelled | Z>z | -- | l=z"},
    {"84", "D9", "G<[1] | G@i | k.cancel | Z<!Cancelled | Z>z | -- | g=z"},
    // What a canceller throws leaves cancel, and the deferred stays pending (R70), also when a
    // coroutine awaits it; Twisted makes it the coroutine's result, and the coroutine goes on.
    {"85", "D8", "k.cancel | ?cancel E1 | C.got 1 | -- | c=1"},
    {"random-1-2595", "D9",
     "k1.cancel | s3<[7,2] | s3@d3 | s4<!Cancelled | s4>!Cancelled+3 | s5<!Cancelled+3 | ?eb already | "
     "s5>!Cancelled+3 | -- | d2=!Cancelled+3 | d4=pending"},
};

const difference* find_difference(const std::string& name) {
  const std::string number = name.substr(0, name.find(' '));
  for (const difference& d : differences) {
    if (number == d.program) return &d;
  }
  return nullptr;
}

// A coroutine that was cancelled and goes on reads "waiting" in Twisted, whose cancel puts another
// deferred in its place (R132); here it is as pending as before. What maybe_deferred gives is there
// the function's own deferred (R94), here one that waits for it.
std::string adapted(const std::string& token, const interpreter& vm) {
  const std::size_t at = token.find('=');
  if (at == std::string::npos || !vm.rewrapped().contains(token.substr(0, at))) return token;
  const bool unfinished = token.compare(at, 8, "=waiting") == 0 || token.compare(at, 8, "=pending") == 0;
  return unfinished ? token.substr(0, at) + "=pending" : token;
}

// States of names that were handed over do not exist here; what is reported at the end is compared
// as a set, since its order is the collector's.
std::string comparable(const std::vector<std::string>& trace, const interpreter& vm) {
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
  return join(kept);
}

}  // namespace

bool reports_sooner(const verdict& v) {
  if (v.leaked != 0) return false;
  // Per kind of failure: after how many other tokens each report comes.
  const auto split = [](const std::string& trace, std::map<std::string, std::vector<std::size_t>>& reports) {
    std::vector<std::string> others;
    for (std::string& token : split_trace(trace)) {
      if (token.rfind("unhandled ", 0) == 0) {
        reports[token].push_back(others.size());
      } else {
        others.push_back(std::move(token));
      }
    }
    return others;
  };
  std::map<std::string, std::vector<std::size_t>> here;
  std::map<std::string, std::vector<std::size_t>> there;
  if (split(v.got, here) != split(v.wanted, there) || here.size() != there.size()) return false;
  return std::equal(here.begin(), here.end(), there.begin(), [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.size() == b.second.size() &&
           std::equal(a.second.begin(), a.second.end(), b.second.begin(), std::less_equal<>());
  });
}

verdict run_beside(const program& p, interpreter::style stages) {
  verdict v;
  const std::vector<form> forms = read_forms(p.source);
  const std::size_t frames_before = mobius::detail::live_frames();
  {
    interpreter vm(stages);
    v.got = comparable(vm.run(forms), vm);
    v.awaiting = vm.awaiting();
    if (const difference* d = find_difference(p.name)) {
      v.difference = d->number;
      v.wanted = comparable(split_trace(d->trace), vm);
    } else {
      v.wanted = comparable(p.trace, vm);
    }
  }
  v.leaked = mobius::detail::live_frames() - frames_before;
  return v;
}

std::string reason_to_leave_out(const program& p) {
  if (p.unique || find_difference(p.name)) return {};
  return "uses a deferred after handing it over (D1)";
}

}  // namespace dtl
