// Plaintext over HTTP with mobius: a coroutine handler, all limits, deadlines and checks on.

#include <mobius/net/http/http.hpp>
#include <mobius/runtime.hpp>
#include <string>

#include "pages.hpp"
#include "server_main.hpp"

namespace http = mobius::http;

// SIGTERM cancels it, and ends the program by its default as soon as `run` returns.
mobius::task<> serve(http::server& site, mobius::net::tcp_listener& listener, bench::server_stats& stats) {
  try {
    co_await site.serve(listener);
  } catch (const mobius::cancelled&) {
    stats.print();
    throw;
  }
}

int main(int argc, char** argv) {
  const auto options = bench::parse_server_options(argc, argv);
  bench::one_thread_only(options);
  const auto pages = bench::make_pages<std::string>([](std::string body) { return body; });
  mobius::reactor reactor;
  bench::server_stats stats("mobius", options, [&] {
    const auto now = reactor.stats();
    return bench::work_counts{now.enters, now.submissions, now.completions};
  });
  bench::stats_share share(stats, options);
  http::server site([&](http::request& asked) -> mobius::task<http::response> {
    share.echoed(1);
    const auto page = pages.find(asked.path());
    if (page == pages.end()) co_return http::response::text(404, "no such page\n");
    co_return http::response::text(200, page->second);
  });
  mobius::net::tcp_listener listener("127.0.0.1", options.port);
  bench::print_port(listener.local_address().port());
  reactor.run(serve(site, listener, stats));
}
