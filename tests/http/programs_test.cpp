// Against the world: real curl talks to our server, get_page to real nginx.

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mobius/runtime/testing/testing.hpp>
#include <mobius/runtime/thread_pool.hpp>
#include <string>

#include "peer.hpp"
#include "process.hpp"
#include "site.hpp"
#include "support/catch.hpp"

namespace http = mobius::http;
using mobius::task;
using mobius::testing::world;
using namespace std::chrono_literals;

namespace {

constexpr mobius::testing::run_options real_time{.virtual_time = false};

bool is_there(const char* program, const char* package) {
  if (::access(program, X_OK) == 0) return true;
  std::cout << "SKIPPED: " << program << " is missing; apt-get install " << package << std::endl;
  return false;
}

// A directory that goes with its contents.
class scratch {
 public:
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "mobius-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    path_ = name;
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  std::string string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

task<std::string> curl(std::string arguments) {
  co_return co_await mobius::offload(process::output_of, "curl -sS --max-time 20 " + arguments + " 2>&1");
}

}  // namespace

TEST_CASE("curl gets, posts, uploads in chunks, and keeps its connection") {
  if (!is_there("/usr/bin/curl", "curl")) return;
  mobius::testing::run(
      [](world&) -> task<> {
        site::served web([](site::request& asked) -> task<site::response> {
          co_await mobius::sleep(1ms);
          if (asked.path() == "/size")
            co_return site::response::text(200, std::to_string(asked.body().size()));
          co_return co_await site::echo(asked);
        });
        const std::string base = "http://127.0.0.1:" + std::to_string(web.port);

        const auto kept = co_await curl("-w '%{num_connects} ' " + base + "/1 " + base + "/2 " + base + "/3");
        CHECK(kept == "GET /1 []\n1 GET /2 []\n0 GET /3 []\n0 ");
        const auto head = co_await curl("-I " + base + "/h");
        CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(head.find("Content-Length: 11\r\n") != std::string::npos);
        const auto old = co_await curl("--http1.0 -i " + base + "/old");
        CHECK(old.find("\r\nConnection: close\r\n") != std::string::npos);
        CHECK(old.ends_with("GET /old []\n"));

        const scratch files;
        const std::string file = (files / "body").string();
        write_file(file, std::string(1'000'000, 'x'));
        const auto expected =
            co_await curl("-v -H 'Expect: 100-continue' --data-binary @" + file + " " + base + "/size");
        CHECK(expected.find("< HTTP/1.1 100 Continue") != std::string::npos);
        CHECK(expected.find("< HTTP/1.1 200 OK") != std::string::npos);
        CHECK(expected.find("1000000") != std::string::npos);
        const auto chunked = co_await curl("-H 'Transfer-Encoding: chunked' -H Expect: --data-binary @" +
                                           file + " " + base + "/size");
        CHECK(chunked == "1000000");
        write_file(file, std::string(3'000'000, 'x'));
        const auto large = co_await curl(
            "-w '%{http_code}' -H 'Transfer-Encoding: chunked' -H Expect: -o /dev/null "
            "--data-binary @" +
            file + " " + base + "/size");
        CHECK(large.find("413") != std::string::npos);
        co_await web.site.stop();
      },
      real_time);
}

TEST_CASE("get_page reads what nginx serves") {
  if (!is_there("/usr/sbin/nginx", "nginx-light")) return;
  mobius::testing::run(
      [](world&) -> task<> {
        const scratch files;
        const std::string port = std::to_string(peer::closed_port());
        const std::string page(5'000'000, 'x');
        write_file(files / "page", page);
        write_file(files / "ssi.txt", "<!--# echo var=\"request_uri\" -->");
        write_file(
            files / "nginx.conf",
            "daemon off; master_process off; pid " + (files / "pid").string() +
                "; error_log stderr crit; events {} http { access_log off; client_body_temp_path " +
                (files / "b").string() + "; proxy_temp_path " + (files / "p").string() +
                "; fastcgi_temp_path " + (files / "f").string() + "; uwsgi_temp_path " +
                (files / "u").string() + "; scgi_temp_path " + (files / "s").string() +
                "; server { listen 127.0.0.1:" + port + "; root " + files.string() +
                "; location /hello { return 200 'hello from nginx'; } location /moved { return 302 /hello; }"
                " location /ssi.txt { ssi on; ssi_types *; } } }");
        const process::child nginx(
            {"/usr/sbin/nginx", "-c", (files / "nginx.conf").string(), "-p", files.string(), "-e", "stderr"});
        const std::string base = "http://127.0.0.1:" + port;
        auto first = co_await mobius::as_result(http::get_page(base + "/hello"));
        for (int tries = 0; !first && tries < 200; ++tries) {
          co_await mobius::sleep(25ms);
          first = co_await mobius::as_result(http::get_page(base + "/hello"));
        }
        CHECK(first.value_or("") == "hello from nginx");
        const auto moved = co_await http::get_page(base + "/moved");
        CHECK(moved == "hello from nginx");
        const auto large = co_await http::get_page(base + "/page");
        CHECK(large == page);
        const auto chunked = co_await http::fetch(base + "/ssi.txt");
        CHECK(chunked.response.headers.get("Transfer-Encoding") == "chunked");
        CHECK(chunked.response.body == "/ssi.txt");
        const auto missing = co_await mobius::as_result(http::get_page(base + "/none"));
        REQUIRE_FALSE(missing.has_value());
        REQUIRE(missing.error().get_if<http::status_error>());
        CHECK(missing.error().get_if<http::status_error>()->status() == 404);
      },
      real_time);
}
