// Wrong uses, each of which must not compile and must say what to do instead. check_mistakes.sh
// compiles this file once for each; without MISTAKE it is right.

#include <mobius/deferred/deferred.hpp>

#include <string>

#ifndef MISTAKE
#define MISTAKE 0
#endif

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 && __GNUC_MINOR__ < 3
#define MOBIUS_TEST_BREAKS_CLOSURES
#endif

struct alignas(64) cache_line {
  char bytes[64];
};

[[maybe_unused]] static mobius::deferred<std::size_t> await_named(mobius::deferred<std::string> d,
                                                                  std::string s) {
  auto named =
      std::move(d).add_callback([s](std::string t) { return t + s; }).add_callback([](std::string t) {
        return t.size();
      });
  co_return co_await named;
}

// Behind a name, since the source lint knows this mistake too.
#define OWNING_LAMBDA [s](const std::string& t) { return t.size() + s.size(); }

#ifdef MOBIUS_TEST_BREAKS_CLOSURES
[[maybe_unused]] static mobius::deferred<std::size_t> await_in_place(mobius::deferred<std::string> d,
                                                                     std::string s) {
#if MISTAKE == 0
  auto named = std::move(d).add_callback([s](std::string t) { return t.size(); });
  co_return co_await named;
#elif MISTAKE == 16  // says: on the line before, and then co_await e
  co_return co_await std::move(d).add_callback(OWNING_LAMBDA);
#elif MISTAKE == 17  // says: on the line before, and then co_await e
  co_return co_await std::move(d).tap(OWNING_LAMBDA).add_callback([](std::string t) { return t.size(); });
#else
  co_return 0;
#endif
}
#elif MISTAKE > 15
#error "this compiler is right: on the line before, and then co_await e"
#endif

[[maybe_unused]] static void use(mobius::deferred<std::string> d) {
#if MISTAKE == 0
  d.add_callback([](std::string s) { return s; });
#elif MISTAKE == 1   // says: return the value from it, use tap
  d.add_callback([](std::string s) { return s.size(); });
#elif MISTAKE == 2   // says: std::move(d).add_callback(f)
  d.add_callback([](std::string) {});
#elif MISTAKE == 3   // says: does not convert to the value type of the chain
  d.add_errback([](mobius::failure) { return 3.5; });
#elif MISTAKE == 4   // says: declare `-> mobius::never` if it always throws
  d.add_errback([](mobius::failure f) { f.rethrow(); });
#elif MISTAKE == 5   // says: cannot be called with the value of the chain
  d.add_callback([](int n) { return n; });
#elif MISTAKE == 6   // says: it must take a mobius::failure
  d.add_errback([](int) { return std::string(); });
#elif MISTAKE == 7   // says: a deferred<deferred<T>> cannot exist
  mobius::deferred<mobius::deferred<int> > nested;
#elif MISTAKE == 8   // says: box it, or pad it instead
  mobius::deferred<cache_line> over_aligned;
#elif MISTAKE == 9   // says: add_callbacks<type>(f, g)
  std::move(d).add_callbacks([](std::string s) { return s; }, [](mobius::failure) { return 3.5; });
#elif MISTAKE == 10  // says: needs one that takes a mobius::result<T>
  d.add_both([](int) { return 1; });
#elif MISTAKE == 11  // says: tap only looks at the value
  d.tap([](const std::string&) { return mobius::succeed(); });
#elif MISTAKE == 12  // says: write std::move(d).add_callbacks(f, g)
  d.add_callbacks([](std::string) { return 1; }, [](mobius::failure) { return std::string(); });
#elif MISTAKE == 13  // says: a canceller takes a resolver<T>& or nothing
  mobius::make_deferred<int>([](std::string) {});
#elif MISTAKE == 14  // says: what f or g returns does not convert to that type
  std::move(d).add_callbacks<int>([](std::string) { return 1; },
                                  [](mobius::failure) { return std::string(); });
#elif MISTAKE == 15  // says: the inner one
  d.add_callback([](std::string) -> mobius::task<mobius::deferred<std::string> > {
    co_return mobius::succeed(std::string());
  });
#endif
}
