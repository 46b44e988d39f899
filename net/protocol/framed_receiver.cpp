#include "framed_receiver.hpp"

#include <utility>

namespace mobius::net {

namespace {

// A larger buffer is not kept for a connection that has nothing unfinished.
constexpr std::size_t small_buffer = 512;

}  // namespace

void framed_receiver::pause_producing() {
  paused_ = true;
  transport().pause_producing();
}

void framed_receiver::resume_producing() {
  if (!std::exchange(paused_, false)) return;
  if (!now_) parse_kept();
  if (!paused_) transport().resume_producing();
}

void framed_receiver::data_received(std::string_view data) {
  if (now_ || !kept_.empty() || paused_) {
    kept_ += data;
  } else {
    parse(data);
    kept_.insert(0, data);
  }
  if (!now_) parse_kept();
}

void framed_receiver::parse(std::string_view& rest) {
  struct parsing {
    parsing(framed_receiver& r, std::string_view& text) noexcept : receiver(r) { receiver.now_ = &text; }
    parsing(const parsing&) = delete;
    parsing& operator=(const parsing&) = delete;
    ~parsing() { receiver.now_ = nullptr; }
    framed_receiver& receiver;
  };
  const parsing guard(*this, rest);
  while (delivers() && !rest.empty()) {
    if (take_message(rest, std::exchange(seen_, 0))) continue;
    seen_ = rest.size();
    return;
  }
}

// The buffer is out of the way meanwhile, so that more may come in the middle of it.
void framed_receiver::parse_kept() {
  while (delivers() && kept_.size() > seen_) {
    std::string text = std::exchange(kept_, {});
    std::string_view rest = text;
    parse(rest);
    if (kept_.empty()) {
      text.erase(0, text.size() - rest.size());
      kept_ = std::move(text);
    } else {
      kept_.insert(0, rest);
    }
  }
  if (kept_.empty() && kept_.capacity() > small_buffer) kept_ = std::string();
}

std::string framed_receiver::take_rest() {
  std::string all;
  if (now_) all = std::exchange(*now_, {});
  all += std::exchange(kept_, {});
  seen_ = 0;
  return all;
}

void framed_receiver::put_back(std::string_view data) {
  seen_ = 0;
  if (now_ && data.data() + data.size() == now_->data()) {
    *now_ = {data.data(), data.size() + now_->size()};  // it was taken off there
    return;
  }
  std::string all(data);
  all += take_rest();
  kept_ = std::move(all);
  if (!now_) parse_kept();
}

}  // namespace mobius::net
