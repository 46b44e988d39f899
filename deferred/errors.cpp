#include "errors.hpp"

#include <string>

#include "../runtime/failure.hpp"

namespace mobius {

namespace {

// A default-constructed location has line 0: nobody noted one.
std::string known(const char* before, const std::source_location& where) {
  return where.line() == 0 ? std::string() : before + to_string(where);
}

}  // namespace

already_called::already_called(const std::source_location& made, const std::source_location& fired,
                               const std::source_location& again)
    : std::logic_error("a deferred can be fired once: it was made" + known(" at ", made) + ", fired" +
                       known(" at ", fired) + ", and fired again" + known(" at ", again)),
      made_(made),
      fired_(fired) {}

broken_deferred::broken_deferred(const std::source_location& made)
    : std::runtime_error("nobody is left who could fire the deferred made" + known(" at ", made) +
                         ": its last resolver was dropped"),
      made_(made) {}

}  // namespace mobius
