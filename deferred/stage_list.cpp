#include "stage_list.hpp"

#include "core.hpp"

namespace mobius::detail {

const stage_type stage_list::jump_type{&stage_list::follow, &stage_list::pass, sizeof(jump),
                                       stage_type::on_both};

void stage_list::grow() {
  auto* fresh = static_cast<std::byte*>(allocate_frame(block));
  std::byte* before = grown_ ? end_ + room_ + sizeof(jump) - block : nullptr;
  std::byte* begin = fresh + sizeof(block_head);
  new (static_cast<void*>(fresh)) block_head{before};
  new (static_cast<void*>(end_)) jump(begin);
  end_ = begin;
  room_ = static_cast<std::uint16_t>(block - sizeof(block_head) - sizeof(jump));
  grown_ = true;
}

bool stage_list::follow(stage* s, core* c) noexcept {
  pass(s, c);
  return false;
}

void stage_list::pass(stage* s, core* c) noexcept {
  stage_list& list = *c;
  list.next_ = static_cast<jump*>(s)->to;
  std::byte* before = std::launder(reinterpret_cast<block_head*>(list.next_ - sizeof(block_head)))->before;
  if (before) free_frame(before, block);
}

}  // namespace mobius::detail
