#pragma once
// Spies: values that tell what became of them.

#include <cstddef>
#include <utility>

namespace mobius::testing {

class result_spy;

/// A value made by a spy. Whoever uses it calls `take`; one that ends untaken was dropped.
class spied {
 public:
  spied(spied&& other) noexcept : spy_(std::exchange(other.spy_, nullptr)), number_(other.number_) {}
  spied& operator=(spied&& other) noexcept {
    spied taken(std::move(other));
    std::swap(spy_, taken.spy_);
    std::swap(number_, taken.number_);
    return *this;
  }
  ~spied();

  /// Says that the value was used; gives its number.
  int take() noexcept;
  /// Its number.
  int number() const noexcept { return number_; }

 private:
  friend class result_spy;
  spied(result_spy& spy, int number) noexcept : spy_(&spy), number_(number) {}

  result_spy* spy_;
  int number_;
};

/// Counts what became of the values that it made: for tests that no result is lost, or given twice,
/// by what stands between its maker and its user. Must outlive them.
class result_spy {
 public:
  result_spy() noexcept = default;
  result_spy(const result_spy&) = delete;
  result_spy& operator=(const result_spy&) = delete;

  /// Makes one.
  spied make(int number = 0) noexcept {
    ++made_;
    return spied(*this, number);
  }
  /// How many were made.
  std::size_t made() const noexcept { return made_; }
  /// How many were used.
  std::size_t taken() const noexcept { return taken_; }
  /// How many ended without being used.
  std::size_t dropped() const noexcept { return dropped_; }
  /// How many still exist unused.
  std::size_t live() const noexcept { return made_ - taken_ - dropped_; }

 private:
  friend class spied;
  std::size_t made_ = 0;
  std::size_t taken_ = 0;
  std::size_t dropped_ = 0;
};

inline spied::~spied() {
  if (spy_) ++spy_->dropped_;
}

inline int spied::take() noexcept {
  if (spy_) ++std::exchange(spy_, nullptr)->taken_;
  return number_;
}

}  // namespace mobius::testing
