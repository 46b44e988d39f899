// Fetches six pages at once, reports success or failure of each, and stores them: callbacks.
#include <iostream>
#include <map>
#include <mobius/http.hpp>
#include <optional>
#include <string>
#include <vector>

#include "site.hpp"

namespace http = mobius::http;
using page = std::optional<std::string>;

std::map<std::string, page> pages;

void request_page(const std::string& url) {
  auto report_success = [url](std::string body) {
    std::cout << "Successfully downloaded `" << url << "`." << std::endl;
    return body;
  };
  auto report_failure = [url](mobius::failure) {
    std::cout << "Failed to download `" << url << "`." << std::endl;
    return page();
  };
  auto save_result = [url](page result) { pages[url] = std::move(result); };

  http::get_page(url).add_callbacks<page>(report_success, report_failure).add_callback(save_result);
}

int main(int argc, char** argv) {
  std::vector<std::string> urls(argv + 1, argv + argc);
  std::optional<tutorial::site> site;
  if (urls.empty()) urls = site.emplace().urls();

  mobius::reactor reactor;
  for (const std::string& url : urls) request_page(url);
  reactor.run();
}
