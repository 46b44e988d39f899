#include "testing.hpp"

#include <filesystem>

#include "../frame_pool.hpp"

namespace mobius::testing {

namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

void expect_no_more_than(std::size_t before, std::size_t now, const char* what) {
  if (now <= before) return;
  throw leak("leak: " + std::to_string(now - before) + " more " + what + " than before the test");
}

}  // namespace

inventory inventory::take() { return {mobius::detail::live_frames(), open_descriptors()}; }

void inventory::expect_no_more() const {
  const inventory now = take();
  expect_no_more_than(frames, now.frames, "coroutine frames or pooled blocks");
  expect_no_more_than(descriptors, now.descriptors, "open descriptors");
}

unhandled_failures::unhandled_failures()
    : before_(set_unhandled_hook([this](const failure& what, std::string_view where) {
        entries_.push_back({what, std::string(where)});
      })) {}

unhandled_failures::~unhandled_failures() { set_unhandled_hook(std::move(before_)); }

void unhandled_failures::expect_none() const {
  if (entries_.empty()) return;
  throw leak("unhandled failure in " + entries_.front().where + ": " + entries_.front().what.what());
}

void faults::fail_enter(int error, unsigned times) {
  const unsigned until = failed_ + times;
  faults_.on_enter = [this, error, until](unsigned, unsigned) {
    if (failed_ == until) return 0;
    ++failed_;
    return -error;
  };
}

void detail::run_body(const std::function<task<>(world&)>& body, run_options options) {
  const inventory before = inventory::take();
  {
    unhandled_failures unhandled;
    virtual_clock clock;
    options.reactor.signals = false;
    if (options.virtual_time) options.reactor.clock = &clock;
    {
      mobius::reactor reactor(options.reactor);
      world w{clock, reactor, unhandled};
      reactor.run(body(w));
      if (reactor.timers().size() != 0) {
        throw leak("leak: " + std::to_string(reactor.timers().size()) + " timers left armed");
      }
    }
    unhandled.expect_none();
  }
  before.expect_no_more();
}

}  // namespace mobius::testing
