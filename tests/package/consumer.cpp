// The smallest program that needs every library of mobius to compile and link.
#include <chrono>
#include <cstdio>
#include <mobius/deferred.hpp>
#include <mobius/http.hpp>
#include <mobius/net.hpp>
#include <mobius/runtime.hpp>

namespace {

mobius::task<int> answer() {
  co_await mobius::sleep(std::chrono::milliseconds(1));
  co_return 42;
}

int deferred_answer() {
  int seen = 0;
  auto d = mobius::succeed(42);
  d.add_callback([&seen](int value) {
    seen = value;
    return value;
  });
  return seen;
}

mobius::task<bool> bad_url_fails() {
  const auto page = co_await mobius::as_result(mobius::http::get_page("a_bad_url"));
  co_return !page.has_value();
}

}  // namespace

int main() {
  const bool right = mobius::run(answer()) == 42 && deferred_answer() == 42 && mobius::run(bad_url_fails());
  std::puts(right ? "consumer: right" : "consumer: wrong");
  return right ? 0 : 1;
}
