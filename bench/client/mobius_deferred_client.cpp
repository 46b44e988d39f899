// Pages over HTTP with mobius, in callbacks: each page's callback asks for the next, over one http::client,
// which keeps its connections. Its limits, deadlines and checks are on.
#include <mobius/deferred.hpp>
#include <mobius/net/http/http.hpp>
#include <mobius/runtime.hpp>

#include "client_run.hpp"

namespace http = mobius::http;

namespace {

struct asker {
  bench::client_run& run;
  const http::client& web;

  void next() {
    if (!run.more()) return;
    const std::size_t page = run.page();
    web.get_page(run.url(page))
        .add_callback([this, page](const std::string& text) {
          run.check(page, text);
          next();
        })
        .add_errback([](const mobius::failure& why) {
          std::fprintf(stderr, "%s\n", why.what().c_str());
          std::exit(1);
        });
  }
};

}  // namespace

int main(int argc, char** argv) {
  bench::client_run run(argc, argv);
  mobius::reactor reactor;
  const http::client web;
  asker asks{run, web};
  for (std::uint64_t i = 0; i < run.connections(); ++i) asks.next();
  reactor.run();
  run.print();
}
