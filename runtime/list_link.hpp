#pragma once
// An intrusive doubly linked list: an entry takes itself out when it ends.

namespace mobius::detail {

/// An entry of a list, or, standing alone, the head of one.
class list_link {
 public:
  list_link() = default;
  list_link(const list_link&) = delete;
  list_link& operator=(const list_link&) = delete;
  ~list_link() { unlink(); }

  /// Puts this entry, which stands alone, before `position`: at the end, if that is the head.
  void link_before(list_link& position) noexcept {
    previous_ = position.previous_;
    next_ = &position;
    previous_->next_ = this;
    position.previous_ = this;
  }
  /// Takes it out of its list.
  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

  /// True if it stands in no list; of a head: if the list is empty.
  bool alone() const noexcept { return next_ == this; }
  /// The entry after this one; of a head: the first.
  list_link* next() const noexcept { return next_; }

 private:
  list_link* previous_ = this;
  list_link* next_ = this;
};

}  // namespace mobius::detail
