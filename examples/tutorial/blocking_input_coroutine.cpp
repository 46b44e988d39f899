// Fetches six pages at once, reports success or failure of each, and stores them: coroutines.
#include <iostream>
#include <map>
#include <mobius/http.hpp>
#include <mobius/runtime.hpp>
#include <optional>
#include <ranges>
#include <string>
#include <vector>

#include "site.hpp"

namespace http = mobius::http;
using page = std::optional<std::string>;

std::map<std::string, page> pages;

mobius::task<> request_page(std::string url) {
  auto body = co_await mobius::as_result(http::get_page(url));
  if (body) {
    std::cout << "Successfully downloaded `" << url << "`." << std::endl;
    pages[url] = *std::move(body);
  } else {
    std::cout << "Failed to download `" << url << "`." << std::endl;
    pages[url] = std::nullopt;
  }
}

mobius::task<> main_task(std::vector<std::string> urls) {
  auto requests = urls | std::views::transform(request_page);
  co_await mobius::when_all(requests);
}

int main(int argc, char** argv) {
  std::vector<std::string> urls(argv + 1, argv + argc);
  std::optional<tutorial::site> site;
  if (urls.empty()) urls = site.emplace().urls();

  mobius::run(main_task(urls));
}
