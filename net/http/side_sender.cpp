#include "side_sender.hpp"

#include "../../runtime/reactor.hpp"

namespace mobius::http::detail {

namespace {

// Memory above this is not kept from one request to the next.
constexpr std::size_t most_kept = 128 * 1024;

}  // namespace

void reuse(std::string& text) noexcept {
  if (text.capacity() > most_kept) {
    text = std::string();
  } else {
    text.clear();
  }
}

void side_sender::begin() noexcept {
  wanted_ = true;
  if (std::exchange(look_.queued, true)) return;
  reactor::current().push(look_);
}

void side_sender::on_look(core::node* n) noexcept {
  side_sender& self = static_cast<look*>(n)->owner;
  self.look_.queued = false;
  if (self.wanted_ && !self.sending() && !self.failed_ && !self.output_.empty()) {
    self.taken_.swap(self.output_);
    self.begin_ = 0;
    self.send_next();
  }
  self.settle();
}

void side_sender::send_next() noexcept {
  while (begin_ < taken_.size()) {
    const std::string_view piece = std::string_view(taken_).substr(begin_, send_piece);
    piece_ = piece.size();
    if (!wait_.start([&] { return write(piece); })) return;
    if (!take_outcome()) break;
  }
  reuse(taken_);
}

void side_sender::sent() noexcept {
  if (take_outcome()) {
    send_next();
  } else {
    reuse(taken_);
  }
  settle();
}

bool side_sender::take_outcome() noexcept {
  const result<void> outcome = wait_.outcome();
  begin_ += piece_;
  failed_ = !outcome;
  return !failed_;
}

void side_sender::settle() noexcept {
  if (waiting_ && !busy()) std::exchange(waiting_, nullptr)->wake();
}

const core::leaf_type side_sender::settled_awaiter::leaf_kind{"send of responses",
                                                              &side_sender::settled_awaiter::cancel};

void side_sender::settled_awaiter::wait(std::coroutine_handle<> h, core::context* ctx,
                                        const std::source_location& where) noexcept {
  handle_ = h;
  ctx_ = ctx;
  state_ = state::waiting;
  sender_.waiting_ = this;
  if (!ctx) return;
  ctx->enter(*this, where);
  if (ctx->stopping()) sender_.abandon();
}

bool side_sender::settled_awaiter::cancel(core::leaf* self) noexcept {
  static_cast<settled_awaiter*>(self)->sender_.abandon();
  return true;
}

}  // namespace mobius::http::detail
