#include "errors.hpp"

#include <string>
#include <utility>

namespace mobius {

namespace {

// A default-constructed location has line 0: nobody noted one.
std::string known(const char* before, const std::source_location& where) {
  return where.line() == 0 ? std::string() : before + to_string(where);
}

std::string text_of(const std::vector<failure>& failures) {
  if (failures.empty()) return "there was nothing in the race that could win it";
  std::string text = "all of them failed: ";
  for (const failure& f : failures) text += (&f == &failures.front() ? "" : "; ") + f.what();
  return text;
}

}  // namespace

already_called::already_called(const std::source_location& made, const std::source_location& fired,
                               const std::source_location& again, const std::string& traces)
    : std::logic_error("a deferred can be fired once: it was made" + known(" at ", made) + ", fired" +
                       known(" at ", fired) + ", and fired again" + known(" at ", again) + traces),
      made_(made),
      fired_(fired) {}

broken_deferred::broken_deferred(const std::source_location& made)
    : std::runtime_error("nobody is left who could fire the deferred made" + known(" at ", made) +
                         ": its last resolver was dropped"),
      made_(made) {}

first_error::first_error(failure error, std::size_t index)
    : std::runtime_error("input " + std::to_string(index) + " failed: " + error.what()),
      error_(std::move(error)),
      index_(index) {}

failure_group::failure_group(std::vector<failure> failures)
    : std::runtime_error(text_of(failures)), failures_(std::move(failures)) {}

}  // namespace mobius
