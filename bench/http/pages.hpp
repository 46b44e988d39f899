// What every HTTP server of the bench serves: twenty paths, "/page/00" to "/page/19", and "Hello, page 07"
// for
// "/page/07"; everything else is a 404. The bodies fit into a std::string without memory of its own, as the
// usual "Hello, World!" does.
#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace bench {

inline constexpr int page_count = 20;

/// Lets a map of strings be searched with a view.
struct view_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

/// The table of a server: a path and what is kept for it.
template <class Page>
using page_table = std::unordered_map<std::string, Page, view_hash, std::equal_to<>>;

/// The table, with `make(body)` for each page.
template <class Page, class Make>
page_table<Page> make_pages(Make make) {
  page_table<Page> pages;
  for (int i = 0; i < page_count; ++i) {
    const std::string number = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
    pages.emplace("/page/" + number, make("Hello, page " + number));
  }
  return pages;
}

/// For a server that copies whole responses: made anew when the second has changed.
class ready_responses {
 public:
  const std::string& find(const std::string& path) const {
    const auto page = pages_.find(path);
    return page == pages_.end() ? missing_ : page->second;
  }
  /// Once a turn.
  void renew() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (std::exchange(made_, now.tv_sec) == now.tv_sec) return;
    pages_ = make_pages<std::string>([this](const std::string& body) { return make("200 OK", body); });
    missing_ = make("404 Not Found", "no such page\n");
  }

 private:
  std::string make(const std::string& status, const std::string& body) const {
    char date[64];
    std::strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", std::gmtime(&made_));
    return "HTTP/1.1 " + status + "\r\n" + date +
           "Content-Type: text/plain; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

  page_table<std::string> pages_;
  std::string missing_;
  std::time_t made_ = 0;
};

}  // namespace bench
