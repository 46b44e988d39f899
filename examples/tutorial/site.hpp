#pragma once
// A web site of its own for blocking_input: five pages on loopback that answer after different
// delays, served by a thread, so that the program's own reactor has nothing to do with it.

#include <chrono>
#include <cstdint>
#include <future>
#include <mobius/http.hpp>
#include <string>
#include <thread>
#include <vector>

namespace tutorial {

class site {
 public:
  site() : thread_([this] { serve(); }) { port_ = ready_.get_future().get(); }
  site(const site&) = delete;
  site& operator=(const site&) = delete;
  ~site() {
    reactor_->post([r = reactor_] { r->stop(); });
  }

  /// The five pages, and a URL that is none.
  std::vector<std::string> urls() const {
    std::vector<std::string> out;
    for (const char* delay : {"600", "200", "1000"}) out.push_back(url(delay));
    out.push_back("a_bad_url");
    for (const char* delay : {"400", "800"}) out.push_back(url(delay));
    return out;
  }

 private:
  std::string url(const std::string& page) const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/" + page;
  }

  /// The page /200 answers after 200 ms.
  static mobius::task<mobius::http::response> answer(mobius::http::request& request) {
    const std::string page(request.path().substr(1));
    co_await mobius::sleep(std::chrono::milliseconds(std::stoi(page)));
    co_return mobius::http::response::text(200, "This is page " + page + ".\n");
  }

  void serve() try {
    mobius::reactor reactor({.signals = false});
    mobius::net::tcp_listener listener("127.0.0.1", 0);
    mobius::http::server server(answer);
    const std::uint16_t port = listener.local_address().port();
    reactor.background(server.serve(std::move(listener)));
    reactor_ = &reactor;
    ready_.set_value(port);
    reactor.run_forever();
  } catch (...) {
    ready_.set_exception(std::current_exception());
  }

  std::promise<std::uint16_t> ready_;
  std::uint16_t port_ = 0;
  mobius::reactor* reactor_ = nullptr;
  std::jthread thread_;
};

}  // namespace tutorial
