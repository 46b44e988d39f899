// Pages over HTTP with libcurl's multi interface: one easy handle per connection, used again and again, and
// curl_multi_poll. Fast options: kept connections (the cache holds all), no signals, no progress meter.
#include <curl/curl.h>

#include "client_run.hpp"

namespace {

struct transfer {
  CURL* handle = nullptr;
  std::size_t page = 0;
  std::string text;
};

std::size_t take(char* bytes, std::size_t size, std::size_t count, void* into) {
  static_cast<transfer*>(into)->text.append(bytes, size * count);
  return size * count;
}

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "curl: %s\n", why);
  std::exit(1);
}

void start(CURLM* multi, bench::client_run& run, transfer& one) {
  one.page = run.page();
  one.text.clear();
  curl_easy_setopt(one.handle, CURLOPT_URL, run.url(one.page).c_str());
  if (const auto error = curl_multi_add_handle(multi, one.handle); error != CURLM_OK)
    fail(curl_multi_strerror(error));
}

void finish(CURLM* multi, bench::client_run& run, const CURLMsg& message) {
  if (message.data.result != CURLE_OK) fail(curl_easy_strerror(message.data.result));
  char* pointer = nullptr;
  curl_easy_getinfo(message.easy_handle, CURLINFO_PRIVATE, &pointer);
  auto& one = *reinterpret_cast<transfer*>(pointer);
  run.check(one.page, one.text);
  curl_multi_remove_handle(multi, one.handle);
  if (run.more()) start(multi, run, one);
}

}  // namespace

int main(int argc, char** argv) {
  bench::client_run run(argc, argv);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* multi = curl_multi_init();
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(run.connections()));
  std::vector<transfer> transfers(run.connections());
  for (transfer& one : transfers) {
    one.handle = curl_easy_init();
    curl_easy_setopt(one.handle, CURLOPT_PRIVATE, &one);
    curl_easy_setopt(one.handle, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(one.handle, CURLOPT_WRITEDATA, &one);
    curl_easy_setopt(one.handle, CURLOPT_NOSIGNAL, 1L);
    if (run.more()) start(multi, run, one);
  }
  int running = 1;
  while (running != 0) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) fail("perform");
    int left = 0;
    bool ended = false;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) finish(multi, run, *message);
      ended = true;
    }
    if (ended) {
      running = 1;  // what was started again begins with the next perform
    } else if (running != 0 && curl_multi_poll(multi, nullptr, 0, 1000, nullptr) != CURLM_OK) {
      fail("poll");
    }
  }
  run.print();
  for (const transfer& one : transfers) curl_easy_cleanup(one.handle);
  curl_multi_cleanup(multi);
  curl_global_cleanup();
}
