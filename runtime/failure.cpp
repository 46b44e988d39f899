#include "failure.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace mobius {

namespace detail {

struct failure_trail {
  static constexpr std::size_t capacity = 16;

  // A failure may be handed from a pool thread to its reactor, hence the atomic.
  std::atomic<std::uint32_t> references{1};
  std::uint32_t size = 0;
  std::source_location places[capacity];
};

void retain(failure_trail* trail) noexcept { trail->references.fetch_add(1, std::memory_order_relaxed); }

void release(failure_trail* trail) noexcept {
  if (trail->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete trail;
}

void* exception_as(const std::exception_ptr& exception, const std::type_info& wanted) noexcept {
  if (!exception) return nullptr;
  // libstdc++'s exception_ptr is the address of the exception object; __do_catch is what the
  // unwinder itself asks, so bases and pointer adjustments come out as in a catch clause.
  const std::type_info* thrown = exception.__cxa_exception_type();
  void* object = nullptr;
  static_assert(sizeof(exception) == sizeof(object));
  std::memcpy(&object, static_cast<const void*>(&exception), sizeof object);
  if (thrown->__is_pointer_p()) object = *static_cast<void**>(object);
  return wanted.__do_catch(thrown, &object, 1) ? object : nullptr;
}

namespace {

std::string demangle(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? text.get() : name;
}

unhandled_hook& current_hook() {
  thread_local unhandled_hook hook;
  return hook;
}

}  // namespace
}  // namespace detail

failure::failure() : exception_(std::current_exception()) {
  if (!exception_) throw no_current_exception();
}

failure::failure(std::exception_ptr exception) noexcept : exception_(std::move(exception)) {
  if (!exception_) exception_ = std::make_exception_ptr(std::logic_error("failure made of a null exception"));
}

void failure::rethrow() const { std::rethrow_exception(exception_); }

std::string failure::what() const {
  if (const auto* known = get_if<std::exception>()) return known->what();
  return type_name();
}

std::string failure::type_name() const {
  return exception_ ? detail::demangle(exception_.__cxa_exception_type()->name()) : "nothing";
}

void failure::passed(std::source_location where) noexcept {
  if (!trail_) trail_ = new (std::nothrow) detail::failure_trail;
  if (!trail_) return;
  auto& trail = *trail_;
  if (trail.size == detail::failure_trail::capacity) {
    std::move(trail.places + 1, trail.places + trail.size, trail.places);
    --trail.size;
  }
  trail.places[trail.size++] = where;
}

std::span<const std::source_location> failure::trail() const noexcept {
  return trail_ ? std::span<const std::source_location>(trail_->places, trail_->size)
                : std::span<const std::source_location>();
}

failure cancelled_failure() noexcept {
  static const std::exception_ptr shared = std::make_exception_ptr(cancelled());
  return failure(shared);
}

failure system_failure(int error, const std::string& call) {
  return make_failure<std::system_error>(error, std::generic_category(), call);
}

unhandled_hook set_unhandled_hook(unhandled_hook hook) {
  return std::exchange(detail::current_hook(), std::move(hook));
}

void report_unhandled(const failure& what, std::string_view where) noexcept try {
  std::string text;
  if (const auto& hook = detail::current_hook()) {
    try {
      return hook(what, where);
    } catch (...) {
      text = "mobius: the unhandled hook threw " + failure().what() + " when it was told of this:\n";
    }
  }
  text += "mobius: unhandled " + what.type_name() + " in " + std::string(where) + ": " + what.what();
  for (const auto& place : what.trail()) text += "\n  by way of " + to_string(place);
  std::fprintf(stderr, "%s\n", text.c_str());
} catch (...) {
  std::fputs("mobius: an unhandled failure, and no memory to say which\n", stderr);
}

std::string to_string(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line()) + " (" + where.function_name() +
         ")";
}

}  // namespace mobius
