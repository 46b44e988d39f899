#pragma once
// What `shield`, `with_stop_token` and their like have in common: they stand between two chains.

#include <source_location>

#include "context.hpp"

namespace mobius::detail {

/// A leaf of the outer chain that owns the context of the inner one. The awaiter made of it keeps
/// the inner awaiter in a derived class, so that this context outlives it.
class nested : public leaf {
 public:
  nested(const nested&) = delete;
  nested& operator=(const nested&) = delete;

 protected:
  explicit nested(const leaf_type& t) noexcept : leaf{&t} {}
  ~nested() {
    if (outer_ && outer_->waiting() == this) outer_->leave();
  }

  /// Starts to stand for `outer`; it hands on what was asked of it.
  void begin(context* outer, const std::source_location& where) noexcept {
    outer_ = outer;
    if (!outer) return;
    outer->enter(*this, where);
    inner_.adopt(*outer);
  }
  /// The same, but what was asked of `outer` stays here. Returns whether anything was.
  bool begin_apart(context* outer, const std::source_location& where) noexcept {
    outer_ = outer;
    if (!outer) return false;
    outer->enter(*this, where);
    context taken;
    taken.adopt(*outer);
    inner_.inherit(*outer);
    return taken.mark() != cancel_mark::none;
  }
  /// Ends standing for it; what was handed on and not delivered goes back.
  void end() noexcept {
    if (!outer_) return;
    outer_->leave();
    inner_.give_back(*outer_);
  }
  /// Ends what `begin_apart` began.
  void end_apart() noexcept {
    if (outer_) outer_->leave();
  }

  context* outer_ = nullptr;
  context inner_;
};

}  // namespace mobius::detail
