// Pages over HTTP with mobius, in coroutines: as many workers as connections, and one http::client, which
// keeps its connections. Its limits, deadlines and checks are on.
#include <mobius/net/http/http.hpp>
#include <mobius/runtime.hpp>

#include "client_run.hpp"

namespace http = mobius::http;

mobius::task<> work(bench::client_run& run, const http::client& web) {
  while (run.more()) {
    const std::size_t page = run.page();
    const std::string text = co_await web.get_page(run.url(page));
    run.check(page, text);
  }
}

mobius::task<> work_together(bench::client_run& run, const http::client& web) {
  std::vector<mobius::task<>> workers;
  for (std::uint64_t i = 0; i < run.connections(); ++i) workers.push_back(work(run, web));
  co_await mobius::when_all(std::move(workers));
}

int main(int argc, char** argv) {
  bench::client_run run(argc, argv);
  mobius::reactor reactor;
  const http::client web;
  reactor.run(work_together(run, web));
  run.print();
}
