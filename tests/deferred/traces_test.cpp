// Programs of the test language must give the traces that real Twisted gives.

#include <iostream>
#include <map>

#include "comparison.hpp"
#include "support/catch.hpp"

namespace {

using style = dtl::interpreter::style;

void check_file(const std::string& path, style stages) {
  std::map<std::string, int> left_out;
  std::map<std::string, int> different;
  int run = 0;
  int awaiting = 0;
  for (const program& p : read_programs(path)) {
    const std::string reason = dtl::reason_to_leave_out(p);
    if (!reason.empty()) {
      ++left_out[reason];
      continue;
    }
    const dtl::verdict v = dtl::run_beside(p, stages);
    INFO("program " << p.name << "\n" << p.source);
    CHECK(v.got == v.wanted);
    CHECK(v.leaked == 0);
    if (v.difference) ++different[v.difference];
    awaiting += v.awaiting;
    ++run;
  }
  std::cout << path.substr(path.rfind('/') + 1) << ": " << run << " programs run\n";
  if (stages == style::awaits) {
    std::cout << "  with " << awaiting << " coroutines in place of callbacks\n";
    CHECK(awaiting > 0);
  }
  for (const auto& [number, count] : different) {
    std::cout << "  with a trace of mobius' own, " << number << ": " << count << "\n";
  }
  for (const auto& [reason, count] : left_out) std::cout << "  left out, " << count << ": " << reason << "\n";
  CHECK(run > 0);
}

}  // namespace

TEST_CASE("the golden programs give Twisted's traces") {
  check_file(MOBIUS_TRACES "/golden.txt", style::callbacks);
}

TEST_CASE("programs that show a deliberate difference give the traces of mobius' own") {
  check_file(MOBIUS_TRACES "/differences.txt", style::callbacks);
}

TEST_CASE("programs that once differed, or let a mistake pass, give Twisted's traces") {
  check_file(MOBIUS_TRACES "/found.txt", style::callbacks);
  check_file(MOBIUS_TRACES "/found.txt", style::coroutines);
  check_file(MOBIUS_TRACES "/found.txt", style::awaits);
}

TEST_CASE("the random programs give Twisted's traces") {
  check_file(MOBIUS_TRACES "/corpus.txt", style::callbacks);
}

TEST_CASE("the same programs give the same traces when linear chains are coroutines that await") {
  check_file(MOBIUS_TRACES "/golden.txt", style::awaits);
  check_file(MOBIUS_TRACES "/corpus.txt", style::awaits);
}

TEST_CASE("the same programs give the same traces when every callback is a coroutine") {
  check_file(MOBIUS_TRACES "/golden.txt", style::coroutines);
  check_file(MOBIUS_TRACES "/corpus.txt", style::coroutines);
}
