// The timer wheel against a std::multimap, which is slow and obviously right.

#include <mobius/runtime.hpp>
#include <mobius/testing.hpp>

#include <cstdlib>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using mobius::detail::timer;
using mobius::detail::timer_wheel;

namespace {

constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();

// A timer that notes that it has fired.
struct noted : timer {
  explicit noted(std::vector<noted*>& to) : timer(&noted::fire_noted), fired(to) {}
  static void fire_noted(timer* t) noexcept {
    auto* self = static_cast<noted*>(t);
    self->fired.push_back(self);
  }
  std::vector<noted*>& fired;
  std::multimap<std::int64_t, noted*>::iterator place;
  bool expected = false;
};

unsigned seed() {
  if (const char* given = std::getenv("MOBIUS_SEED")) return static_cast<unsigned>(std::stoul(given));
  return std::random_device()();
}

// One wheel and its model, driven by the same random steps.
class pair_of_wheels {
 public:
  explicit pair_of_wheels(unsigned seed) : random_(seed), now_(start()), wheel_(now_) {
    for (int i = 0; i < 300; ++i) timers_.push_back(std::make_unique<noted>(fired_));
  }
  ~pair_of_wheels() {
    for (auto& t : timers_) wheel_.cancel(*t);
  }

  void step() {
    noted& t = *timers_[below(timers_.size())];
    const auto what = below(100);
    if (what < 60) {
      if (!t.expected) add(t, now_ + distance());
    } else if (what < 85) {
      cancel(t);
    } else if (what < 90) {
      jump_to_next();
    } else {
      advance(now_ + distance());
    }
    check_next();
  }

 private:
  std::int64_t start() { return static_cast<std::int64_t>(random_() >> 2) >> below(62); }
  std::size_t below(std::size_t n) { return random_() % n; }
  // Of every order of magnitude, often none at all, and round so that deadlines coincide.
  std::int64_t distance() {
    auto d = static_cast<std::int64_t>(random_() >> 1) >> below(64);
    if (below(3) == 0) d &= ~0xfffLL;
    return std::min(d, end_of_time - now_);
  }
  void add(noted& t, std::int64_t deadline) {
    wheel_.add(t, deadline);
    t.place = model_.emplace(std::max(deadline, now_), &t);
    t.expected = true;
  }
  void cancel(noted& t) {
    wheel_.cancel(t);
    if (std::exchange(t.expected, false)) model_.erase(t.place);
    if (t.armed()) throw std::logic_error("a cancelled timer is armed");
  }
  void jump_to_next() {
    if (const auto next = wheel_.next_deadline()) advance(*next);
  }
  void advance(std::int64_t now) {
    now_ = std::max(now_, now);
    fired_.clear();
    wheel_.advance(now_);
    std::size_t i = 0;
    while (!model_.empty() && model_.begin()->first <= now_) {
      noted* due = model_.begin()->second;
      if (i == fired_.size() || fired_[i] != due) throw std::logic_error("not the timer that is due");
      due->expected = false;
      model_.erase(model_.begin());
      ++i;
    }
    if (i != fired_.size()) throw std::logic_error("a timer fired early");
    if (wheel_.size() != model_.size()) throw std::logic_error("another number of timers");
  }
  void check_next() const {
    const auto next = wheel_.next_deadline();
    if (next.has_value() == model_.empty()) throw std::logic_error("next_deadline of an empty wheel");
    if (next && *next > model_.begin()->first) throw std::logic_error("next_deadline is late");
  }

  std::mt19937_64 random_;
  std::int64_t now_;
  timer_wheel wheel_;
  std::vector<noted*> fired_;
  std::vector<std::unique_ptr<noted>> timers_;
  std::multimap<std::int64_t, noted*> model_;
};

}  // namespace

TEST_CASE("the wheel fires what a sorted list would, in its order, never early, across any jump",
          "[fault-38]") {
  const unsigned first = seed();
  std::cout << "MOBIUS_SEED=" << first << '\n';
  for (unsigned s = first; s < first + 40; ++s) {
    INFO("MOBIUS_SEED=" << s);
    pair_of_wheels both(s);
    REQUIRE_NOTHROW([&] {
      for (int i = 0; i < 5000; ++i) both.step();
    }());
  }
}

TEST_CASE("timers with equal deadlines fire first in, first out, whenever they were added") {
  std::vector<noted*> fired;
  timer_wheel wheel(0);
  std::vector<std::unique_ptr<noted>> timers;
  constexpr std::int64_t deadline = 1'000'000'007;
  for (std::int64_t now = 0; now < deadline; now = (now + 1) * 3) {
    wheel.advance(now);
    timers.push_back(std::make_unique<noted>(fired));
    wheel.add(*timers.back(), deadline);
  }
  wheel.advance(deadline - 1);
  CHECK(fired.empty());
  timers.push_back(std::make_unique<noted>(fired));
  wheel.add(*timers.back(), deadline);
  wheel.advance(deadline);
  REQUIRE(fired.size() == timers.size());
  for (std::size_t i = 0; i < fired.size(); ++i) CHECK(fired[i] == timers[i].get());
}

TEST_CASE("deadlines at the end of time, in the past and at zero are kept", "[fault-37]") {
  std::vector<noted*> fired;
  timer_wheel wheel(1000);
  noted last(fired);
  noted before_last(fired);
  noted past(fired);
  noted zero(fired);
  wheel.add(last, end_of_time);
  wheel.add(before_last, end_of_time - 1);
  wheel.add(past, 5);
  wheel.add(zero, 0);
  CHECK(wheel.next_deadline() == 1000);
  wheel.advance(1000);
  CHECK(fired == std::vector<noted*>{&past, &zero});
  wheel.advance(end_of_time - 2);
  CHECK(fired.size() == 2);
  CHECK(wheel.next_deadline() == end_of_time - 1);
  wheel.advance(end_of_time);
  CHECK(fired == std::vector<noted*>{&past, &zero, &before_last, &last});
  CHECK(wheel.size() == 0);
}

TEST_CASE("a clock that seems to go backwards fires nothing and breaks nothing", "[fault-34]") {
  std::vector<noted*> fired;
  timer_wheel wheel(1'000'000);
  noted t(fired);
  wheel.add(t, 1'000'100);
  wheel.advance(5);
  CHECK(fired.empty());
  wheel.advance(1'000'100);
  CHECK(fired.size() == 1);
}

TEST_CASE("a timer that fires may cancel and add others") {
  struct chain : timer {
    chain(timer_wheel& w, noted& cancels, noted& adds) : timer(&chain::go), wheel(w), c(cancels), a(adds) {}
    static void go(timer* t) noexcept {
      auto& self = *static_cast<chain*>(t);
      self.wheel.cancel(self.c);
      self.wheel.add(self.a, 0);
    }
    timer_wheel& wheel;
    noted& c;
    noted& a;
  };
  std::vector<noted*> fired;
  timer_wheel wheel(0);
  noted cancelled(fired);
  noted same(fired);
  noted added(fired);
  chain first(wheel, cancelled, added);
  wheel.add(first, 500);
  wheel.add(cancelled, 500);
  wheel.add(same, 500);
  wheel.advance(10'000);
  CHECK(fired == std::vector<noted*>{&same, &added});
  CHECK(wheel.size() == 0);
}

TEST_CASE("a million timers are armed, cancelled by half, and fired in order") {
  std::vector<noted*> fired;
  fired.reserve(500'000);
  timer_wheel wheel(0);
  std::vector<std::unique_ptr<noted>> timers;
  std::mt19937_64 random(7);
  constexpr std::int64_t hour = 3'600'000'000'000;
  for (int i = 0; i < 1'000'000; ++i) {
    timers.push_back(std::make_unique<noted>(fired));
    wheel.add(*timers.back(), static_cast<std::int64_t>(random() % hour));
  }
  std::map<const noted*, std::int64_t> deadlines;
  for (std::size_t i = 0; i < timers.size(); i += 2) wheel.cancel(*timers[i]);
  for (std::size_t i = 1; i < timers.size(); i += 1000) deadlines[timers[i].get()] = timers[i]->deadline;
  std::int64_t last = 0;
  bool sorted = true;
  for (std::int64_t now = 0; now <= hour; now += hour / 100) {
    const std::size_t begin = fired.size();
    wheel.advance(now);
    for (std::size_t i = begin; i < fired.size(); ++i) {
      const auto known = deadlines.find(fired[i]);
      if (known == deadlines.end()) continue;
      sorted = sorted && known->second >= last && known->second <= now;
      last = known->second;
    }
  }
  CHECK(sorted);
  CHECK(fired.size() == 500'000);
  CHECK(wheel.size() == 0);
}

TEST_CASE("a sleeper wakes never early, by the real clock") {
  using namespace std::chrono_literals;
  mobius::testing::run(
      [](mobius::testing::world&) -> mobius::task<> {
        for (const auto d : {0ns, 1ns, 50'000ns, 1'000'000ns, 7'345'678ns}) {
          const auto begin = std::chrono::steady_clock::now();
          co_await mobius::sleep(d);
          CHECK(std::chrono::steady_clock::now() - begin >= d);
        }
      },
      {.virtual_time = false});
}
