#include "stop_token.hpp"

namespace mobius::detail {

// --- in ----------------------------------------------------------------------------------------

const leaf_type stop_token_base::leaf_kind{"with_stop_token", &stop_token_base::cancel};

void stop_message::send(std::shared_ptr<stop_message> self) noexcept {
  self_ = std::move(self);
  if (!inbox_->push(this)) self_.reset();
}

void stop_message::arrived(node* n) noexcept {
  auto* message = static_cast<stop_message*>(n);
  const std::shared_ptr<stop_message> keep = std::move(message->self_);
  if (context* target = message->target) target->cancel();
}

void stop_token_base::connect(context* ctx, const std::source_location& where) {
  begin(ctx, where);
  if (token_.stop_requested()) {
    inner_.cancel();
  } else if (token_.stop_possible()) {
    message_ = std::make_shared<stop_message>(reactor::current().inbox());
    message_->target = &inner_;
    callback_.emplace(token_, stop_sender(message_));
  }
}

void stop_token_base::disconnect() noexcept {
  if (message_) message_->target = nullptr;
  callback_.reset();
  message_.reset();
}

bool stop_token_base::cancel(leaf* l) noexcept {
  auto& self = *static_cast<stop_token_base*>(l);
  self.inner_.forward_cancel(*self.outer_);
  return true;
}

// --- out ---------------------------------------------------------------------------------------

const leaf_type stoppable_base::leaf_kind{"stoppable", &stoppable_base::cancel};

void stoppable_base::connect(context* ctx, const std::source_location& where) {
  begin(ctx, where);
  if (inner_.mark() != cancel_mark::none) source_.request_stop();
}

bool stoppable_base::cancel(leaf* l) noexcept {
  auto& self = *static_cast<stoppable_base*>(l);
  if (!self.source_.stop_requested()) {
    // A callback of the token may end what is awaited, and with it `self`.
    bool ended = false;
    self.ended_ = &ended;
    std::stop_source(self.source_).request_stop();
    if (ended) return true;
    self.ended_ = nullptr;
  }
  self.inner_.forward_cancel(*self.outer_);
  return true;
}

}  // namespace mobius::detail
