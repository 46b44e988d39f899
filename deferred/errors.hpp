#pragma once
// The errors that deferreds themselves raise.

#include <source_location>
#include <stdexcept>

namespace mobius {

/// Thrown by a resolver whose deferred has been fired before (Twisted's AlreadyCalledError).
class already_called final : public std::logic_error {
 public:
  already_called(const std::source_location& made, const std::source_location& fired,
                 const std::source_location& again);

  /// Where the deferred was made.
  const std::source_location& made() const noexcept { return made_; }
  /// Where it was fired first.
  const std::source_location& fired() const noexcept { return fired_; }

 private:
  std::source_location made_;
  std::source_location fired_;
};

/// What a waiting chain gets when the last resolver of what it waits for is dropped unfired.
class broken_deferred final : public std::runtime_error {
 public:
  explicit broken_deferred(const std::source_location& made);

  /// Where the deferred was made that nobody can fire any more.
  const std::source_location& made() const noexcept { return made_; }

 private:
  std::source_location made_;
};

/// Thrown when a handle or resolver is used that holds nothing: moved from, awaited or never set.
class no_deferred final : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Thrown by `unpause` without a `pause`, and the outcome of deferreds that wait for themselves.
class deferred_misuse final : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace mobius
