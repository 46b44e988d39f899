// usage: deferred_replay FILE
// Runs the programs of FILE, each with the trace of Twisted behind it, with callbacks, again with
// coroutines in their place, and again with coroutines that await the chain; prints those that differ, and
// then how many were run, and how many runs differed only in reporting a failure sooner (D3).

#include <exception>
#include <iostream>

#include "comparison.hpp"

namespace {

using style = dtl::interpreter::style;

int sooner = 0;

bool differs(const program& p, style stages, const char* with) {
  const dtl::verdict v = dtl::run_beside(p, stages);
  if (v.right()) return false;
  if (dtl::reports_sooner(v)) {
    ++sooner;
    return false;
  }
  std::cout << "#differs " << p.name << "\n  with " << with << "\n  twisted: " << v.wanted
            << "\n  mobius:  " << v.got << "\n";
  if (v.leaked != 0) std::cout << "  leaked blocks: " << v.leaked << "\n";
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: deferred_replay FILE\n";
    return 2;
  }
  int run = 0;
  int different = 0;
  for (const program& p : read_programs(argv[1])) {
    if (!dtl::reason_to_leave_out(p).empty()) continue;
    try {
      ++run;
      if (differs(p, style::callbacks, "callbacks") || differs(p, style::coroutines, "coroutines") ||
          differs(p, style::awaits, "awaits")) {
        ++different;
      }
    } catch (const std::exception& e) {
      std::cout << "#broken " << p.name << " " << e.what() << "\n";
    }
  }
  std::cout << "#ran " << run << " different " << different << " sooner " << sooner << "\n";
  return different == 0 ? 0 : 1;
} catch (const std::exception& e) {
  std::cerr << "deferred_replay: " << e.what() << "\n";
  return 2;
}
