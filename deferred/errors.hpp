#pragma once
// The errors that deferreds themselves raise.

#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#include "../runtime/failure.hpp"

namespace mobius {

/// Thrown by a resolver whose deferred has been fired before (Twisted's AlreadyCalledError).
class already_called final : public std::logic_error {
 public:
  already_called(const std::source_location& made, const std::source_location& fired,
                 const std::source_location& again, const std::string& traces = {});

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

/// What gather_results, and a list that ends at its first failure, fail with: that failure, and
/// which input it came from (Twisted's FirstError).
class first_error final : public std::runtime_error {
 public:
  first_error(failure error, std::size_t index);

  /// The failure of the input.
  const failure& error() const noexcept { return error_; }
  /// Which one it was, from 0.
  std::size_t index() const noexcept { return index_; }

 private:
  failure error_;
  std::size_t index_;
};

/// What a race fails with when every alternative has failed (Twisted's FailureGroup), also one of
/// nothing.
class failure_group final : public std::runtime_error {
 public:
  explicit failure_group(std::vector<failure> failures);

  /// The failures, in the order of the inputs.
  const std::vector<failure>& failures() const noexcept { return failures_; }

 private:
  std::vector<failure> failures_;
};

/// Thrown by `unpause` without a `pause`, and the outcome of deferreds that wait for themselves.
class deferred_misuse final : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace mobius
