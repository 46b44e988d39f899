#include "shield.hpp"

namespace mobius::detail {

const leaf_type shield_base::leaf_kind{"shield", &shield_base::cancel};

bool shield_base::cancel(leaf* l) noexcept {
  static_cast<shield_base*>(l)->asked_ = true;
  return true;
}

// It never waits but for its turn to be told of a cancel.
const leaf_type checkpoint_awaiter::leaf_kind{"checkpoint", [](leaf*) noexcept { return false; }};

}  // namespace mobius::detail
